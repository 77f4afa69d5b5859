-- Procedures that are operations: those with a concept below the operations of the hyperontology.
WITH operation AS (
    SELECT *, concept('surgical_procedure.surgical_procedure_code', 'OMOP', procedure_concept_id,
                      standard_system, standard_code, source_system, source_code) AS code
    FROM staged.coded_procedure
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
