-- Who has which cancer? Codes get their names from the public concept table.
SELECT diagnosis.concept_name AS diagnosis, sex.concept_name AS sex,
       count(DISTINCT person.patient_id) AS patients
FROM omop.person
JOIN omop.condition_occurrence AS occurrence ON occurrence.person_id = person.person_id
JOIN omop.concept AS diagnosis ON diagnosis.concept_id = occurrence.condition_concept_id
JOIN omop.concept AS sex ON sex.concept_id = person.gender_concept_id
GROUP BY diagnosis.concept_name, sex.concept_name
ORDER BY diagnosis, sex
