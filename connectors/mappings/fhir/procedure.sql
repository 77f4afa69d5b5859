-- All procedures that were begun. What they were done for is a condition; if it is no cancer, it is not named.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, id) AS procedure_id,
       key_of(collection_id, reason_condition_id) AS cancer_condition_id,
       id AS procedureidentifier,
       concept('procedure.procedure_code', code_system, code) AS procedure_code,
       original(code_system, code) AS procedure_code_original,
       concept('procedure.procedure_category', 'SNOMEDCT', category) AS procedure_category,
       category AS procedure_category_original,
       concept('procedure.procedure_evaluation_finding', outcome_system, outcome) AS procedure_evaluation_finding,
       original(outcome_system, outcome) AS procedure_evaluation_finding_original,
       performed_date AS procedure_date
FROM fhir.procedure
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'not-done', 'preparation')
