-- Observations of tumour markers: those with a concept below the markers of the hyperontology.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, id) AS tumor_marker_test_id,
       concept('tumor_marker_test.tumor_marker_test_code', code_system, code) AS tumor_marker_test_code,
       original(code_system, code) AS tumor_marker_test_code_original,
       value_number AS tumor_marker_test_as_number,
       concept('tumor_marker_test.tumor_marker_test_as_concept', value_code_system, value_code)
           AS tumor_marker_test_as_concept,
       original(value_code_system, value_code) AS tumor_marker_test_as_concept_original,
       value_unit AS tumor_marker_test_as_unit,
       effective_date AS tumor_marker_date
FROM fhir.observation
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'cancelled')
  AND concept('tumor_marker_test.tumor_marker_test_code', code_system, code) IS NOT NULL
