-- Measurements of tumour markers: those with a concept below the markers of the hyperontology.
WITH measured AS (
    SELECT measurement.*,
           standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
           value.vocabulary_id AS value_system, value.concept_code AS value_code,
           unit.vocabulary_id AS unit_system, unit.concept_code AS unit_code,
           concept('tumor_marker_test.tumor_marker_test_code', 'OMOP', measurement.measurement_concept_id,
                   standard.vocabulary_id, standard.concept_code) AS code
    FROM omop.measurement AS measurement
    LEFT JOIN landing.concept AS standard ON standard.concept_id = measurement.measurement_concept_id
    LEFT JOIN landing.concept AS value ON value.concept_id = measurement.value_as_concept_id
    LEFT JOIN landing.concept AS unit ON unit.concept_id = measurement.unit_concept_id
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, measurement_id) AS tumor_marker_test_id,
       code AS tumor_marker_test_code,
       original(standard_system, standard_code, 'OMOP', measurement_concept_id, NULL, measurement_source_value)
           AS tumor_marker_test_code_original,
       value_as_number AS tumor_marker_test_as_number,
       concept('tumor_marker_test.tumor_marker_test_as_concept', 'OMOP', value_as_concept_id, value_system, value_code)
           AS tumor_marker_test_as_concept,
       original(value_system, value_code, 'OMOP', value_as_concept_id) AS tumor_marker_test_as_concept_original,
       coalesce(CASE WHEN unit_system = 'UCUM' THEN unit_code END, unit_source_value) AS tumor_marker_test_as_unit,
       measurement_date AS tumor_marker_date
FROM measured
WHERE code IS NOT NULL
