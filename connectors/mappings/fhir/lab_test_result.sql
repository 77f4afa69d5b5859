-- Observations of the laboratory that no other table takes (tumour markers, stages, grades, assessments); of those
-- without a category the ones that have a concept below the laboratory tests.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, id) AS lab_test_id,
       concept('lab_test_result.lab_test_code', code_system, code) AS lab_test_code,
       original(code_system, code) AS lab_test_code_original,
       concept('lab_test_result.lab_test_value_as_concept', value_code_system, value_code) AS lab_test_value_as_concept,
       original(value_code_system, value_code) AS lab_test_value_as_concept_original,
       value_number AS lab_test_value_as_number,
       value_unit AS lab_test_value_unit,
       effective_date AS lab_test_date
FROM fhir.observation
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'cancelled')
  AND coalesce(category = 'laboratory', concept('lab_test_result.lab_test_code', code_system, code) IS NOT NULL)
  AND concept('tumor_marker_test.tumor_marker_test_code', code_system, code) IS NULL
  AND concept('cancer_stage.cancer_stage_code', code_system, code) IS NULL
  AND concept('histologic_grade.histologic_grade_code', code_system, code) IS NULL
  AND concept('health_status_assessment.assessment_code', code_system, code) IS NULL
