-- The procedures that are coded most often.
SELECT label(procedure_code) AS procedure, count(DISTINCT patient_id) AS patients
FROM procedure
GROUP BY procedure_code
ORDER BY patients DESC
LIMIT 10
