-- What is imaged how? HAVING, ORDER BY and LIMIT act on released values.
SELECT label(series_body_side_code) AS body_part, label(series_modality) AS modality,
       count(DISTINCT patient_id) AS patients
FROM image_series
WHERE series_body_side_code IS NOT NULL AND series_modality IS NOT NULL
GROUP BY series_body_side_code, series_modality
HAVING count(DISTINCT patient_id) >= 100
ORDER BY patients DESC
LIMIT 10
