-- Procedures that are operations: those with a concept below the operations of the hyperontology.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, 'procedure', id) AS treatment_id,
       concept('surgical_procedure.surgical_procedure_code', code_system, code) AS surgical_procedure_code,
       original(code_system, code) AS surgical_procedure_code_original,
       concept('surgical_procedure.surgical_procedure_body_site_code', body_site_system, body_site)
           AS surgical_procedure_body_site_code,
       original(body_site_system, body_site) AS surgical_procedure_body_site_code_original,
       performed_date AS surgical_procedure_date
FROM fhir.procedure
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'not-done', 'preparation')
  AND concept('surgical_procedure.surgical_procedure_code', code_system, code) IS NOT NULL
