-- Offsets from the first diagnosis of the same patient.
SELECT test._patient, test._row, test.dataset_id, test.lab_test_id,
       test.lab_test_code, test.lab_test_code_original,
       test.lab_test_value_as_concept, test.lab_test_value_as_concept_original,
       test.lab_test_value_as_number, test.lab_test_value_unit, test.lab_test_date,
       days_between(first.day, test.lab_test_date) AS lab_test_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND test.lab_test_date IS NOT NULL THEN 'd' END AS lab_test_offset_unit
FROM staged.lab_test_result AS test
LEFT JOIN staged.first_diagnosis AS first ON first._patient = test._patient
