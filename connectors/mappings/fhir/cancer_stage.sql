-- Stages: observations that name what is staged and have the stage as their value (mCODE), and stages in conditions.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, id) AS cancer_stage_id,
       key_of(collection_id, focus_id) AS cancer_condition_id,
       concept('cancer_stage.cancer_stage_code', code_system, code) AS cancer_stage_code,
       original(code_system, code) AS cancer_stage_code_original,
       concept('cancer_stage.cancer_stage_scoring_system', method_system, method) AS cancer_stage_scoring_system,
       original(method_system, method) AS cancer_stage_scoring_system_original,
       concept('cancer_stage.cancer_stage_as_concept', value_code_system, value_code) AS cancer_stage_as_concept,
       original(value_code_system, value_code) AS cancer_stage_as_concept_original,
       effective_date AS cancer_stage_date
FROM fhir.observation
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'cancelled')
  AND concept('cancer_stage.cancer_stage_code', code_system, code) IS NOT NULL
UNION ALL
SELECT _patient,
       _row,
       collection_id,
       key_of(collection_id, id, 'stage'),
       key_of(collection_id, id),
       concept('cancer_stage.cancer_stage_code', stage_type_system, stage_type),
       original(stage_type_system, stage_type),
       NULL,
       NULL,
       concept('cancer_stage.cancer_stage_as_concept', stage_system, stage),
       original(stage_system, stage),
       coalesce(recorded_date, onset_date)
FROM fhir.condition
WHERE stage IS NOT NULL
  AND coalesce(verification_status, '') NOT IN ('refuted', 'entered-in-error')
  AND concept('cancer_stage.cancer_stage_as_concept', stage_system, stage) IS NOT NULL
