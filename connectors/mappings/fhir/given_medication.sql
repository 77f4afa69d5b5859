-- Drugs of the treatment of cancer: those with a concept below the drugs of the hyperontology. Of a patient and a drug
-- what was given counts; where nothing says that it was given, what was ordered; else what the patient is said to take:
-- an order and its administrations are one treatment told twice. What was refused, planned or entered in error is none.
WITH told AS (
    SELECT 1 AS certainty, 'administration' AS kind, _patient, _row, collection_id, id,
           code_system, code, effective_date AS start_date, effective_end_date AS end_date,
           CASE WHEN effective_end_date IS NULL THEN dose END AS dose, dose_unit,
           treatment_intent_system, treatment_intent
    FROM fhir.medication_administration
    WHERE coalesce(status, '') NOT IN ('entered-in-error', 'not-done')
    UNION ALL
    SELECT 2, 'request', _patient, _row, collection_id, id,
           code_system, code, authored_date, NULL, NULL, NULL, treatment_intent_system, treatment_intent
    FROM fhir.medication_request
    WHERE coalesce(status, '') NOT IN ('entered-in-error', 'cancelled', 'draft')
      AND coalesce(intent, '') NOT IN ('proposal', 'plan', 'option')
      AND NOT coalesce(do_not_perform, false)
    UNION ALL
    SELECT 3, 'statement', _patient, _row, collection_id, id,
           code_system, code, effective_date, effective_end_date, NULL, NULL, treatment_intent_system, treatment_intent
    FROM fhir.medication_statement
    WHERE coalesce(status, '') NOT IN ('entered-in-error', 'intended', 'not-taken')
), drug AS (
    SELECT *, concept('medication_administration.medication_code', code_system, code) AS concept
    FROM told
), best AS (
    SELECT _patient, collection_id, concept, min(certainty) AS certainty
    FROM drug
    WHERE concept IS NOT NULL
    GROUP BY _patient, collection_id, concept
)
SELECT drug._patient, drug._row, drug.collection_id,
       key_of(drug.collection_id, drug.kind, drug.id) AS treatment_id,
       drug.id, drug.code_system, drug.code, drug.concept, drug.start_date, drug.end_date,
       drug.dose, CASE WHEN drug.dose IS NOT NULL THEN drug.dose_unit END AS dose_unit,
       drug.treatment_intent_system, drug.treatment_intent
FROM drug
JOIN best ON best.collection_id = drug.collection_id AND best.concept = drug.concept AND best.certainty = drug.certainty
         AND best._patient IS NOT DISTINCT FROM drug._patient
