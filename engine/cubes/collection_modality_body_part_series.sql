-- Series of each collection by modality and part of the body, with more noise than the patients.
SET caim.noise_sd = 6;
SELECT dataset_id AS collection,
       series_modality AS modality,
       series_body_side_code AS body_part,
       count(DISTINCT patient_id) AS patients,
       count(*) AS series
FROM image_series
GROUP BY dataset_id, series_modality, series_body_side_code
