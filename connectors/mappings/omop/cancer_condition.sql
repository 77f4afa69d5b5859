-- Conditions that are cancers: those with a concept below the cancers of the hyperontology, those that the OMOP
-- vocabulary (where it is there) puts below malignant neoplastic disease (443392), and those with an ICD-10 code of
-- chapter C or D00 to D09.
WITH condition AS (
    SELECT occurrence.*,
           standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
           source.vocabulary_id AS source_system, source.concept_code AS source_code,
           concept('cancer_condition.cancer_condition_code', 'OMOP', occurrence.condition_concept_id,
                   standard.vocabulary_id, standard.concept_code, source.vocabulary_id, source.concept_code,
                   'ICD10', occurrence.condition_source_value) AS code
    FROM omop.condition_occurrence AS occurrence
    LEFT JOIN landing.concept AS standard ON standard.concept_id = occurrence.condition_concept_id
    LEFT JOIN landing.concept AS source ON source.concept_id = occurrence.condition_source_concept_id
), malignant AS (
    SELECT DISTINCT descendant_concept_id FROM omop.concept_ancestor WHERE ancestor_concept_id = 443392
)
SELECT condition._patient,
       condition._row,
       condition.collection_id AS dataset_id,
       key_of(condition.collection_id, condition.condition_occurrence_id) AS cancer_condition_id,
       condition.condition_start_date AS cancer_condition_asserted_date,
       condition.code AS cancer_condition_code,
       original(condition.standard_system, condition.standard_code, 'OMOP', condition.condition_concept_id,
                condition.source_system, condition.source_code, NULL, condition.condition_source_value)
           AS cancer_condition_code_original
FROM condition
LEFT JOIN malignant ON malignant.descendant_concept_id = condition.condition_concept_id
WHERE condition.code IS NOT NULL
   OR malignant.descendant_concept_id IS NOT NULL
   OR (condition.source_system LIKE 'ICD10%' AND condition.source_code SIMILAR TO '(C|D0)[0-9]%')
   OR condition.condition_source_value SIMILAR TO '(C[0-9][0-9]|D0[0-9])(\.[0-9]+)?'
