-- Measurements of tumour markers: those with a concept below the markers of the hyperontology.
SELECT measurement._patient,
       measurement._row,
       measurement.collection_id AS dataset_id,
       key_of(measurement.collection_id, measurement.measurement_id) AS tumor_marker_test_id,
       measured.marker AS tumor_marker_test_code,
       original(measured.system, measured.code, 'OMOP', measurement.measurement_concept_id,
                NULL, measurement.measurement_source_value) AS tumor_marker_test_code_original,
       measurement.value_as_number AS tumor_marker_test_as_number,
       concept('tumor_marker_test.tumor_marker_test_as_concept', 'OMOP', measurement.value_as_concept_id,
               value.vocabulary_id, value.concept_code) AS tumor_marker_test_as_concept,
       original(value.vocabulary_id, value.concept_code, 'OMOP', measurement.value_as_concept_id)
           AS tumor_marker_test_as_concept_original,
       coalesce(CASE WHEN unit.vocabulary_id = 'UCUM' THEN unit.concept_code END, measurement.unit_source_value)
           AS tumor_marker_test_as_unit,
       measurement.measurement_date AS tumor_marker_date
FROM omop.measurement
JOIN staged.measured_concept AS measured ON measured.concept_id = measurement.measurement_concept_id
LEFT JOIN landing.concept AS value ON value.concept_id = measurement.value_as_concept_id
LEFT JOIN landing.concept AS unit ON unit.concept_id = measurement.unit_concept_id
WHERE measured.marker IS NOT NULL
