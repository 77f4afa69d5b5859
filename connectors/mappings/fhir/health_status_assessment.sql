-- Observations by a scale of the general state: those with a concept below the scales.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, id) AS assessment_id,
       concept('health_status_assessment.assessment_code', code_system, code) AS assessment_code,
       original(code_system, code) AS assessment_code_original,
       value_number AS assesment_value_as_number,
       concept('health_status_assessment.assesment_value_as_concept', value_code_system, value_code)
           AS assesment_value_as_concept,
       original(value_code_system, value_code) AS assesment_value_as_concept_original,
       value_unit AS assesment_value_unit,
       interpretation AS assesment_interpretation_original,
       effective_date AS assessment_date
FROM fhir.observation
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'cancelled')
  AND concept('health_status_assessment.assessment_code', code_system, code) IS NOT NULL
