-- Conditions that are no cancers: all that cancer_condition leaves. What is refuted or entered in error is none.
SELECT condition._patient,
       condition._row,
       condition.collection_id AS dataset_id,
       key_of(condition.collection_id, condition.id) AS medical_history_id,
       concept('medical_history.medical_history_code', condition.code_system, condition.code) AS medical_history_code,
       original(condition.code_system, condition.code) AS medical_history_code_original,
       condition.category AS medical_history_category_original,
       coalesce(condition.onset_date, condition.recorded_date) AS medical_history_date
FROM fhir.condition
WHERE coalesce(condition.verification_status, '') NOT IN ('refuted', 'entered-in-error')
  AND NOT EXISTS (SELECT 1 FROM eucaim.cancer_condition AS cancer
                  WHERE cancer.cancer_condition_id = key_of(condition.collection_id, condition.id)
                    AND cancer._patient IS NOT DISTINCT FROM condition._patient)
