-- Stages: measurements that are a stage by themselves (Cancer Modifier), or that name what is staged and have the
-- stage as their value. Field concept 1147127 says that the event is a condition.
WITH staging AS (
    SELECT measurement.*, measured.system, measured.code, measured.staging, measured.stage,
           value.vocabulary_id AS value_system, value.concept_code AS value_code
    FROM omop.measurement AS measurement
    JOIN staged.measured_concept AS measured ON measured.concept_id = measurement.measurement_concept_id
    LEFT JOIN landing.concept AS value ON value.concept_id = measurement.value_as_concept_id
    WHERE measured.staging IS NOT NULL OR measured.stage IS NOT NULL
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, measurement_id) AS cancer_stage_id,
       CASE WHEN meas_event_field_concept_id = 1147127 THEN key_of(collection_id, measurement_event_id) END
           AS cancer_condition_id,
       staging AS cancer_stage_code,
       CASE WHEN staging IS NOT NULL
            THEN original(system, code, 'OMOP', measurement_concept_id, NULL, measurement_source_value)
            END AS cancer_stage_code_original,
       CASE WHEN staging IS NULL THEN stage
            ELSE concept('cancer_stage.cancer_stage_as_concept', 'OMOP', value_as_concept_id, value_system, value_code)
            END AS cancer_stage_as_concept,
       CASE WHEN staging IS NULL
            THEN original(system, code, 'OMOP', measurement_concept_id, NULL, measurement_source_value)
            ELSE original(value_system, value_code, 'OMOP', value_as_concept_id, NULL, value_source_value)
            END AS cancer_stage_as_concept_original,
       measurement_date AS cancer_stage_date
FROM staging
