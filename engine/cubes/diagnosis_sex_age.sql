-- Patients of each diagnosis by sex and age at diagnosis.
SET caim.noise_sd = 3;
SELECT diagnosis.cancer_condition_code AS diagnosis,
       person.patient_birth_sex AS sex,
       CASE WHEN diagnosis.cancer_condition_age_at_diagnosis < 40 THEN 'below 40'
            WHEN diagnosis.cancer_condition_age_at_diagnosis < 50 THEN '40 to 49'
            WHEN diagnosis.cancer_condition_age_at_diagnosis < 60 THEN '50 to 59'
            WHEN diagnosis.cancer_condition_age_at_diagnosis < 70 THEN '60 to 69'
            WHEN diagnosis.cancer_condition_age_at_diagnosis < 80 THEN '70 to 79'
            WHEN diagnosis.cancer_condition_age_at_diagnosis >= 80 THEN '80 and over'
       END AS age_group,
       count(DISTINCT person.patient_id) AS patients
FROM patient AS person
JOIN cancer_condition AS diagnosis ON diagnosis.patient_id = person.patient_id
GROUP BY 1, 2, 3
