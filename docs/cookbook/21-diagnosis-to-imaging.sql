-- How long from a diagnosis to the first MR after it, in weeks: the first MR of each patient is a value
-- per patient, the days to it lie between two dates of one patient.
SELECT floor(date_diff('day', c.cancer_condition_asserted_date, mr.first) / 7) * 7 AS days,
       count(DISTINCT c.patient_id) AS patients
FROM cancer_condition AS c
JOIN (SELECT patient_id, min(series_acquisition_date) AS first
      FROM image_series
      WHERE is_a(series_modality, 'EUCAIM:IMG1000038')
      GROUP BY patient_id) AS mr ON mr.patient_id = c.patient_id
WHERE date_diff('day', c.cancer_condition_asserted_date, mr.first) BETWEEN 0 AND 90
GROUP BY 1
ORDER BY days
