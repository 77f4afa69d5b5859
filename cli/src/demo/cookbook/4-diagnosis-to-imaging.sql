-- How long from the diagnosis to images? By 30 days, over the year around the diagnosis.
SELECT floor(date_diff('day', c.cancer_condition_asserted_date, s.study_date) / 30) * 30
         AS days, count(DISTINCT s.patient_id) AS patients
FROM image_study AS s
JOIN cancer_condition AS c ON c.patient_id = s.patient_id
WHERE date_diff('day', c.cancer_condition_asserted_date, s.study_date) BETWEEN -90 AND 269
GROUP BY floor(date_diff('day', c.cancer_condition_asserted_date, s.study_date) / 30) * 30
ORDER BY days
