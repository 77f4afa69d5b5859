-- Measurements and observations by a scale of the general state: those with a concept below the scales.
WITH assessed AS (
    SELECT _patient, _row, collection_id, 'measurement' AS kind, measurement_id AS id,
           measurement_concept_id AS concept_id, measurement_source_value AS source_value, measurement_date AS day,
           value_as_number, value_as_concept_id, unit_concept_id, unit_source_value
    FROM omop.measurement
    UNION ALL
    SELECT _patient, _row, collection_id, 'observation', observation_id,
           observation_concept_id, observation_source_value, observation_date,
           value_as_number, value_as_concept_id, unit_concept_id, unit_source_value
    FROM omop.observation
), coded AS (
    SELECT assessed.*,
           standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
           value.vocabulary_id AS value_system, value.concept_code AS value_code,
           unit.vocabulary_id AS unit_system, unit.concept_code AS unit_code,
           concept('health_status_assessment.assessment_code', 'OMOP', assessed.concept_id,
                   standard.vocabulary_id, standard.concept_code) AS code
    FROM assessed
    LEFT JOIN landing.concept AS standard ON standard.concept_id = assessed.concept_id
    LEFT JOIN landing.concept AS value ON value.concept_id = assessed.value_as_concept_id
    LEFT JOIN landing.concept AS unit ON unit.concept_id = assessed.unit_concept_id
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, kind, id) AS assessment_id,
       code AS assessment_code,
       original(standard_system, standard_code, 'OMOP', concept_id, NULL, source_value) AS assessment_code_original,
       value_as_number AS assesment_value_as_number,
       concept('health_status_assessment.assesment_value_as_concept', 'OMOP', value_as_concept_id,
               value_system, value_code) AS assesment_value_as_concept,
       original(value_system, value_code, 'OMOP', value_as_concept_id) AS assesment_value_as_concept_original,
       coalesce(CASE WHEN unit_system = 'UCUM' THEN unit_code END, unit_source_value) AS assesment_value_unit,
       day AS assessment_date
FROM coded
WHERE code IS NOT NULL
