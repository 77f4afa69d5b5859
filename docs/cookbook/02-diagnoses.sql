-- How many patients has each cancer? Records of OMOP and FHIR, coded in SNOMED CT and ICD-10,
-- answer together.
SELECT label(cancer_condition_code) AS cancer, count(DISTINCT patient_id) AS patients
FROM cancer_condition
GROUP BY cancer_condition_code
ORDER BY patients DESC
