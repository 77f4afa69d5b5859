-- Treatments by kind, and how many patients had each.
SELECT label(treatment_type) AS treatment, count(*) AS treatments, count(DISTINCT patient_id) AS patients
FROM treatment
GROUP BY treatment_type
ORDER BY patients DESC
