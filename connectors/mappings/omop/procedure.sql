-- All procedures, with or without a concept: what was done is a question of its own, whatever it was done for.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, procedure_occurrence_id) AS procedure_id,
       concept('procedure.procedure_code', 'OMOP', procedure_concept_id,
               standard_system, standard_code, source_system, source_code) AS procedure_code,
       original(standard_system, standard_code, 'OMOP', procedure_concept_id,
                source_system, source_code, NULL, procedure_source_value) AS procedure_code_original,
       procedure_date
FROM staged.coded_procedure
