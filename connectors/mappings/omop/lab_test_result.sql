-- Measurements that no other table takes (tumour markers, stages, grades, assessments). What the vocabulary calls a
-- modifier of a cancer, a clinical observation (vital signs) or a survey is no laboratory test.
SELECT measurement._patient,
       measurement._row,
       measurement.collection_id AS dataset_id,
       key_of(measurement.collection_id, measurement.measurement_id) AS lab_test_id,
       measured.lab_test AS lab_test_code,
       original(measured.system, measured.code, 'OMOP', measurement.measurement_concept_id,
                NULL, measurement.measurement_source_value) AS lab_test_code_original,
       concept('lab_test_result.lab_test_value_as_concept', 'OMOP', measurement.value_as_concept_id,
               value.vocabulary_id, value.concept_code) AS lab_test_value_as_concept,
       original(value.vocabulary_id, value.concept_code, 'OMOP', measurement.value_as_concept_id)
           AS lab_test_value_as_concept_original,
       measurement.value_as_number AS lab_test_value_as_number,
       coalesce(CASE WHEN unit.vocabulary_id = 'UCUM' THEN unit.concept_code END, measurement.unit_source_value)
           AS lab_test_value_unit,
       measurement.measurement_date AS lab_test_date
FROM omop.measurement
LEFT JOIN staged.measured_concept AS measured ON measured.concept_id = measurement.measurement_concept_id
LEFT JOIN landing.concept AS value ON value.concept_id = measurement.value_as_concept_id
LEFT JOIN landing.concept AS unit ON unit.concept_id = measurement.unit_concept_id
WHERE coalesce(measured.system, '') <> 'Cancer Modifier'
  AND coalesce(measured.class, '') NOT IN ('Clinical Observation', 'Survey')
  AND measured.marker IS NULL
  AND measured.staging IS NULL
  AND measured.stage IS NULL
  AND measured.grading IS NULL
  AND measured.grade IS NULL
  AND measured.assessment IS NULL
