-- How old are they at diagnosis, women and men? Ages follow from dates that stay in the hospital.
SELECT floor(diagnosis.cancer_condition_age_at_diagnosis / 10) * 10 AS age,
       label(person.patient_birth_sex) AS sex, count(DISTINCT person.patient_id) AS patients
FROM patient AS person
JOIN cancer_condition AS diagnosis ON diagnosis.patient_id = person.patient_id
WHERE person.patient_birth_sex IN ('EUCAIM:COM1001366', 'EUCAIM:COM1001370')
GROUP BY floor(diagnosis.cancer_condition_age_at_diagnosis / 10) * 10, person.patient_birth_sex
ORDER BY sex, age
