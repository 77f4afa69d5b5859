-- The datasets, with patients and modalities.
SELECT dataset_id, count(DISTINCT patient_id) AS patients, count(DISTINCT series_modality) AS modalities
FROM image_series
GROUP BY dataset_id
ORDER BY dataset_id
