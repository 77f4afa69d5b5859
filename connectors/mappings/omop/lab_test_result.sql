-- Measurements that no other table takes (tumour markers, stages, grades, assessments). What the vocabulary calls a
-- modifier of a cancer, a clinical observation (vital signs) or a survey is no laboratory test.
WITH measured AS (
    SELECT measurement.*,
           standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
           standard.concept_class_id AS class,
           value.vocabulary_id AS value_system, value.concept_code AS value_code,
           unit.vocabulary_id AS unit_system, unit.concept_code AS unit_code
    FROM omop.measurement AS measurement
    LEFT JOIN landing.concept AS standard ON standard.concept_id = measurement.measurement_concept_id
    LEFT JOIN landing.concept AS value ON value.concept_id = measurement.value_as_concept_id
    LEFT JOIN landing.concept AS unit ON unit.concept_id = measurement.unit_concept_id
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, measurement_id) AS lab_test_id,
       concept('lab_test_result.lab_test_code', 'OMOP', measurement_concept_id, standard_system, standard_code)
           AS lab_test_code,
       original(standard_system, standard_code, 'OMOP', measurement_concept_id, NULL, measurement_source_value)
           AS lab_test_code_original,
       concept('lab_test_result.lab_test_value_as_concept', 'OMOP', value_as_concept_id, value_system, value_code)
           AS lab_test_value_as_concept,
       original(value_system, value_code, 'OMOP', value_as_concept_id) AS lab_test_value_as_concept_original,
       value_as_number AS lab_test_value_as_number,
       coalesce(CASE WHEN unit_system = 'UCUM' THEN unit_code END, unit_source_value) AS lab_test_value_unit,
       measurement_date AS lab_test_date
FROM measured
WHERE coalesce(standard_system, '') <> 'Cancer Modifier'
  AND coalesce(class, '') NOT IN ('Clinical Observation', 'Survey')
  AND concept('tumor_marker_test.tumor_marker_test_code',
              'OMOP', measurement_concept_id, standard_system, standard_code) IS NULL
  AND concept('cancer_stage.cancer_stage_code',
              'OMOP', measurement_concept_id, standard_system, standard_code) IS NULL
  AND concept('cancer_stage.cancer_stage_as_concept',
              'OMOP', measurement_concept_id, standard_system, standard_code) IS NULL
  AND concept('histologic_grade.histologic_grade_code',
              'OMOP', measurement_concept_id, standard_system, standard_code) IS NULL
  AND concept('histologic_grade.histologic_grade_value_as_concept',
              'OMOP', measurement_concept_id, standard_system, standard_code) IS NULL
  AND concept('health_status_assessment.assessment_code',
              'OMOP', measurement_concept_id, standard_system, standard_code) IS NULL
