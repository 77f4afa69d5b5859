-- Days from diagnosis to surgery, in months.
SELECT floor(date_diff('day', c.cancer_condition_asserted_date, s.surgical_procedure_date) / 30) * 30 AS days,
       count(DISTINCT c.patient_id) AS patients
FROM cancer_condition AS c
JOIN surgical_procedure AS s ON s.patient_id = c.patient_id
WHERE date_diff('day', c.cancer_condition_asserted_date, s.surgical_procedure_date) BETWEEN 0 AND 364
GROUP BY 1
ORDER BY days
