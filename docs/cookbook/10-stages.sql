-- Stages of prostate cancer.
SELECT label(stage.cancer_stage_as_concept) AS stage, count(DISTINCT stage.patient_id) AS patients
FROM cancer_stage AS stage
JOIN cancer_condition AS cancer ON cancer.cancer_condition_id = stage.cancer_condition_id
WHERE is_a(cancer.cancer_condition_code, 'SNOMEDCT:399068003')
GROUP BY stage.cancer_stage_as_concept
ORDER BY patients DESC
