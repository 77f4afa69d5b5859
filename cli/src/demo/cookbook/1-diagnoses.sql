-- Who has which cancer? The hospitals record it in different standards and codes; the common data
-- model has one concept for each. What one patient adds is bounded: nobody matters much.
SELECT label(cancer_condition_code) AS diagnosis, count(DISTINCT patient_id) AS patients
FROM cancer_condition
WHERE cancer_condition_code IS NOT NULL
GROUP BY cancer_condition_code
ORDER BY patients DESC
