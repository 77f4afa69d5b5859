-- A treatment for every operation, every course of radiotherapy, every drug, and every other procedure with a concept
-- below the treatments. CLIN1004413 is a surgical procedure, CLIN1014933 radiotherapy, CLIN1034187 the administration of
-- a medication.
WITH treatment AS (
    SELECT procedure.*,
           CASE WHEN concept('radiotherapy.radiotherapy_modality', code_system, code) IS NOT NULL
                THEN concept('treatment.treatment_type', 'EUCAIM', 'CLIN1014933')
                WHEN concept('surgical_procedure.surgical_procedure_code', code_system, code) IS NOT NULL
                THEN concept('treatment.treatment_type', 'EUCAIM', 'CLIN1004413')
                ELSE concept('treatment.treatment_type', code_system, code) END AS kind
    FROM fhir.procedure AS procedure
    WHERE coalesce(status, '') NOT IN ('entered-in-error', 'not-done', 'preparation')
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, 'procedure', id) AS treatment_id,
       kind AS treatment_type,
       original(code_system, code) AS treatment_type_original,
       concept('treatment.treatment_response', outcome_system, outcome) AS treatment_response,
       original(outcome_system, outcome) AS treatment_response_original,
       concept('treatment.treatment_intent', treatment_intent_system, treatment_intent) AS treatment_intent,
       original(treatment_intent_system, treatment_intent) AS treatment_intent_original,
       id AS treatmentidentifier,
       performed_date AS treatment_date
FROM treatment
WHERE kind IS NOT NULL
UNION ALL
SELECT _patient,
       _row,
       collection_id,
       treatment_id,
       concept('treatment.treatment_type', 'EUCAIM', 'CLIN1034187'),
       original(code_system, code),
       NULL,
       NULL,
       concept('treatment.treatment_intent', treatment_intent_system, treatment_intent),
       original(treatment_intent_system, treatment_intent),
       id,
       start_date
FROM staged.given_medication
