-- Grades: observations that name what is graded and have the grade as their value.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, id) AS histologic_grade_id,
       key_of(collection_id, focus_id) AS cancer_condition_id,
       concept('histologic_grade.histologic_grade_scoring_system', method_system, method)
           AS histologic_grade_scoring_system,
       original(method_system, method) AS histologic_grade_scoring_system_original,
       concept('histologic_grade.histologic_grade_code', code_system, code) AS histologic_grade_code,
       original(code_system, code) AS histologic_grade_code_original,
       concept('histologic_grade.histologic_grade_value_as_concept', value_code_system, value_code)
           AS histologic_grade_value_as_concept,
       original(value_code_system, value_code) AS histologic_grade_value_as_concept_original,
       effective_date AS histologic_grade_date
FROM fhir.observation
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'cancelled')
  AND concept('histologic_grade.histologic_grade_code', code_system, code) IS NOT NULL
