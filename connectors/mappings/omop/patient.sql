-- One row a PERSON. A birthday of which OMOP has the year alone is taken as the middle of that year.
SELECT person._patient,
       person._row,
       person.collection_id AS dataset_id,
       coalesce(CAST(person.birth_datetime AS DATE),
                date_of(person.year_of_birth, coalesce(person.month_of_birth, 7), coalesce(person.day_of_birth, 1)))
           AS patient_birth_date,
       concept('patient.patient_birth_sex', 'OMOP', person.gender_concept_id, gender.vocabulary_id, gender.concept_code,
               'OMOP.gender', person.gender_source_value) AS patient_birth_sex,
       original(gender.vocabulary_id, gender.concept_code, 'OMOP', person.gender_concept_id,
                NULL, person.gender_source_value) AS patient_birth_sex_original,
       concept('patient.patient_gender', 'OMOP', person.gender_concept_id, gender.vocabulary_id, gender.concept_code,
               'OMOP.gender', person.gender_source_value) AS patient_gender,
       original(gender.vocabulary_id, gender.concept_code, 'OMOP', person.gender_concept_id,
                NULL, person.gender_source_value) AS patient_gender_original,
       concept('patient.patient_race', 'OMOP', person.race_concept_id, race.vocabulary_id, race.concept_code)
           AS patient_race,
       original(race.vocabulary_id, race.concept_code, 'OMOP', person.race_concept_id, NULL, person.race_source_value)
           AS patient_race_original,
       concept('patient.patient_ethnicity', 'OMOP', person.ethnicity_concept_id,
               ethnicity.vocabulary_id, ethnicity.concept_code) AS patient_ethnicity,
       original(ethnicity.vocabulary_id, ethnicity.concept_code, 'OMOP', person.ethnicity_concept_id,
                NULL, person.ethnicity_source_value) AS patient_ethnicity_original,
       CAST(NULL AS BOOLEAN) AS patient_deceased,
       CAST(NULL AS DATE) AS patient_date_of_last_contact,
       CAST(NULL AS VARCHAR) AS patient_cause_of_death,
       CAST(NULL AS VARCHAR) AS patient_cause_of_death_original
FROM omop.person
LEFT JOIN landing.concept AS gender ON gender.concept_id = person.gender_concept_id
LEFT JOIN landing.concept AS race ON race.concept_id = person.race_concept_id
LEFT JOIN landing.concept AS ethnicity ON ethnicity.concept_id = person.ethnicity_concept_id
UNION ALL
SELECT death._patient,
       death._row,
       death.collection_id,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       true,
       death.death_date,
       concept('patient.patient_cause_of_death', 'OMOP', death.cause_concept_id, cause.vocabulary_id, cause.concept_code,
               'ICD10', death.cause_source_value),
       original(cause.vocabulary_id, cause.concept_code, 'OMOP', death.cause_concept_id, NULL, death.cause_source_value)
FROM omop.death
LEFT JOIN landing.concept AS cause ON cause.concept_id = death.cause_concept_id
