-- Grades: measurements that are a grade by themselves, or that name what is graded and have the grade as their value.
WITH grading AS (
    SELECT measurement.*, measured.system, measured.code, measured.grading, measured.grade,
           value.vocabulary_id AS value_system, value.concept_code AS value_code
    FROM omop.measurement AS measurement
    JOIN staged.measured_concept AS measured ON measured.concept_id = measurement.measurement_concept_id
    LEFT JOIN landing.concept AS value ON value.concept_id = measurement.value_as_concept_id
    WHERE measured.grading IS NOT NULL OR measured.grade IS NOT NULL
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, measurement_id) AS histologic_grade_id,
       CASE WHEN meas_event_field_concept_id = 1147127 THEN key_of(collection_id, measurement_event_id) END
           AS cancer_condition_id,
       grading AS histologic_grade_code,
       CASE WHEN grading IS NOT NULL
            THEN original(system, code, 'OMOP', measurement_concept_id, NULL, measurement_source_value)
            END AS histologic_grade_code_original,
       CASE WHEN grading IS NULL THEN grade
            ELSE concept('histologic_grade.histologic_grade_value_as_concept', 'OMOP', value_as_concept_id,
                         value_system, value_code)
            END AS histologic_grade_value_as_concept,
       CASE WHEN grading IS NULL
            THEN original(system, code, 'OMOP', measurement_concept_id, NULL, measurement_source_value)
            ELSE original(value_system, value_code, 'OMOP', value_as_concept_id, NULL, value_source_value)
            END AS histologic_grade_value_as_concept_original,
       measurement_date AS histologic_grade_date
FROM grading
