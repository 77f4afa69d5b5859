-- Patients by the year of their first diagnosis: a value per patient, then a count.
SELECT EXTRACT(YEAR FROM first) AS year, count(DISTINCT patient_id) AS patients
FROM (SELECT patient_id, min(cancer_condition_asserted_date) AS first
      FROM cancer_condition
      GROUP BY patient_id) AS of_patient
GROUP BY 1
ORDER BY year
