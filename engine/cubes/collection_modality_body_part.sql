-- Patients with images of each collection, by modality and part of the body.
SET caim.noise_sd = 3;
SELECT dataset_id AS collection,
       series_modality AS modality,
       series_body_side_code AS body_part,
       count(DISTINCT patient_id) AS patients
FROM image_series
GROUP BY dataset_id, series_modality, series_body_side_code
