-- Procedures that are operations: those with a concept below the operations of the hyperontology.
WITH operation AS (
    SELECT occurrence.*,
           standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
           source.vocabulary_id AS source_system, source.concept_code AS source_code,
           concept('surgical_procedure.surgical_procedure_code', 'OMOP', occurrence.procedure_concept_id,
                   standard.vocabulary_id, standard.concept_code, source.vocabulary_id, source.concept_code) AS code
    FROM omop.procedure_occurrence AS occurrence
    LEFT JOIN landing.concept AS standard ON standard.concept_id = occurrence.procedure_concept_id
    LEFT JOIN landing.concept AS source ON source.concept_id = occurrence.procedure_source_concept_id
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, 'procedure', procedure_occurrence_id) AS treatment_id,
       code AS surgical_procedure_code,
       original(standard_system, standard_code, 'OMOP', procedure_concept_id,
                source_system, source_code, NULL, procedure_source_value) AS surgical_procedure_code_original,
       procedure_date AS surgical_procedure_date
FROM operation
WHERE code IS NOT NULL
