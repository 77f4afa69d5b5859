-- The day of every patient's first diagnosis of a cancer: offsets are counted from it.
SELECT _patient, min(cancer_condition_asserted_date) AS day
FROM eucaim.cancer_condition
WHERE _patient IS NOT NULL AND cancer_condition_asserted_date IS NOT NULL
GROUP BY _patient
