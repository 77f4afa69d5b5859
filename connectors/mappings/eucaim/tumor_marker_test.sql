-- Offsets from the first diagnosis of the same patient.
SELECT test._patient, test._row, test.dataset_id, test.tumor_marker_test_id,
       test.tumor_marker_test_code, test.tumor_marker_test_code_original,
       test.tumor_marker_test_as_number,
       test.tumor_marker_test_as_concept, test.tumor_marker_test_as_concept_original,
       test.tumor_marker_test_as_unit, test.tumor_marker_date,
       days_between(first.day, test.tumor_marker_date) AS tumor_marker_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND test.tumor_marker_date IS NOT NULL THEN 'd' END AS tumor_marker_offset_unit
FROM staged.tumor_marker_test AS test
LEFT JOIN staged.first_diagnosis AS first ON first._patient = test._patient
