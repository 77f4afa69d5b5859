-- Conditions that are cancers: those with a concept below the cancers of the hyperontology, by any of their codings, and
-- those with an ICD-10 code of chapter C or D00 to D09. What is refuted or entered in error is none.
WITH coding AS (
    SELECT _patient, collection_id, condition_id,
           min(concept('cancer_condition.cancer_condition_code', system, code)) AS concept,
           bool_or(system LIKE '%icd-10%' AND code SIMILAR TO '(C[0-9][0-9]|D0[0-9])(\.[0-9]+)?') AS malignant
    FROM fhir.condition_coding
    WHERE element = 'code'
    GROUP BY _patient, collection_id, condition_id
)
SELECT condition._patient,
       condition._row,
       condition.collection_id AS dataset_id,
       key_of(condition.collection_id, condition.id) AS cancer_condition_id,
       condition.id AS identifier,
       coalesce(condition.onset_date, condition.recorded_date) AS cancer_condition_asserted_date,
       coalesce(concept('cancer_condition.cancer_condition_code', condition.code_system, condition.code), coding.concept)
           AS cancer_condition_code,
       original(condition.code_system, condition.code) AS cancer_condition_code_original,
       concept('cancer_condition.cancer_condition_histology_morphology', condition.morphology_system, condition.morphology)
           AS cancer_condition_histology_morphology,
       original(condition.morphology_system, condition.morphology) AS cancer_condition_histology_morphology_original,
       concept('cancer_condition.cancer_condition_topography', condition.body_site_system, condition.body_site)
           AS cancer_condition_topography,
       original(condition.body_site_system, condition.body_site) AS cancer_condition_topography_original
FROM fhir.condition
LEFT JOIN coding ON coding.condition_id = condition.id AND coding.collection_id = condition.collection_id
                AND coding._patient IS NOT DISTINCT FROM condition._patient
WHERE coalesce(condition.verification_status, '') NOT IN ('refuted', 'entered-in-error')
  AND (concept('cancer_condition.cancer_condition_code', condition.code_system, condition.code) IS NOT NULL
       OR coding.concept IS NOT NULL
       OR coding.malignant)
