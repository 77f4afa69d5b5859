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
)
SELECT assessed._patient,
       assessed._row,
       assessed.collection_id AS dataset_id,
       key_of(assessed.collection_id, assessed.kind, assessed.id) AS assessment_id,
       measured.assessment AS assessment_code,
       original(measured.system, measured.code, 'OMOP', assessed.concept_id, NULL, assessed.source_value)
           AS assessment_code_original,
       assessed.value_as_number AS assesment_value_as_number,
       concept('health_status_assessment.assesment_value_as_concept', 'OMOP', assessed.value_as_concept_id,
               value.vocabulary_id, value.concept_code) AS assesment_value_as_concept,
       original(value.vocabulary_id, value.concept_code, 'OMOP', assessed.value_as_concept_id)
           AS assesment_value_as_concept_original,
       coalesce(CASE WHEN unit.vocabulary_id = 'UCUM' THEN unit.concept_code END, assessed.unit_source_value)
           AS assesment_value_unit,
       assessed.day AS assessment_date
FROM assessed
JOIN staged.measured_concept AS measured ON measured.concept_id = assessed.concept_id
LEFT JOIN landing.concept AS value ON value.concept_id = assessed.value_as_concept_id
LEFT JOIN landing.concept AS unit ON unit.concept_id = assessed.unit_concept_id
WHERE measured.assessment IS NOT NULL
