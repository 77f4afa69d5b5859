-- The concepts of measurements and observations, each once, with what they mean to each table that takes such records:
-- records are many, their concepts few.
WITH used AS (
    SELECT measurement_concept_id AS concept_id FROM omop.measurement
    UNION
    SELECT observation_concept_id FROM omop.observation
), known AS (
    SELECT used.concept_id, concept.vocabulary_id AS system, concept.concept_code AS code,
           concept.concept_class_id AS class
    FROM used
    LEFT JOIN landing.concept AS concept ON concept.concept_id = used.concept_id
)
SELECT concept_id, system, code, class,
       concept('tumor_marker_test.tumor_marker_test_code', 'OMOP', concept_id, system, code) AS marker,
       concept('cancer_stage.cancer_stage_code', 'OMOP', concept_id, system, code) AS staging,
       concept('cancer_stage.cancer_stage_as_concept', 'OMOP', concept_id, system, code) AS stage,
       concept('histologic_grade.histologic_grade_code', 'OMOP', concept_id, system, code) AS grading,
       concept('histologic_grade.histologic_grade_value_as_concept', 'OMOP', concept_id, system, code) AS grade,
       concept('health_status_assessment.assessment_code', 'OMOP', concept_id, system, code) AS assessment,
       concept('lab_test_result.lab_test_code', 'OMOP', concept_id, system, code) AS lab_test
FROM known
