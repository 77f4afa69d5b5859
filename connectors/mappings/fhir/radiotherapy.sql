-- Procedures that are radiotherapy: those with a concept below it. The technique is the same concept where it says one.
WITH irradiation AS (
    SELECT *, concept('radiotherapy.radiotherapy_modality', code_system, code) AS modality
    FROM fhir.procedure
    WHERE coalesce(status, '') NOT IN ('entered-in-error', 'not-done', 'preparation')
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, 'procedure', id) AS treatment_id,
       modality AS radiotherapy_modality,
       original(code_system, code) AS radiotherapy_modality_original,
       concept('radiotherapy.radiotherapy_technique', 'EUCAIM', modality) AS radiotherapy_technique,
       performed_date AS radiotherapy_start_date,
       performed_end_date AS radiotherapy_end_date
FROM irradiation
WHERE modality IS NOT NULL
