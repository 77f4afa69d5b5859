-- Conditions that are no cancers: all that cancer_condition leaves.
SELECT occurrence._patient,
       occurrence._row,
       occurrence.collection_id AS dataset_id,
       key_of(occurrence.collection_id, occurrence.condition_occurrence_id) AS medical_history_id,
       concept('medical_history.medical_history_code', 'OMOP', occurrence.condition_concept_id,
               standard.vocabulary_id, standard.concept_code, source.vocabulary_id, source.concept_code,
               'ICD10', occurrence.condition_source_value) AS medical_history_code,
       original(standard.vocabulary_id, standard.concept_code, 'OMOP', occurrence.condition_concept_id,
                source.vocabulary_id, source.concept_code, NULL, occurrence.condition_source_value)
           AS medical_history_code_original,
       occurrence.condition_start_date AS medical_history_date
FROM omop.condition_occurrence AS occurrence
LEFT JOIN landing.concept AS standard ON standard.concept_id = occurrence.condition_concept_id
LEFT JOIN landing.concept AS source ON source.concept_id = occurrence.condition_source_concept_id
WHERE NOT EXISTS (SELECT 1 FROM eucaim.cancer_condition AS cancer
                  WHERE cancer.cancer_condition_id
                            = key_of(occurrence.collection_id, occurrence.condition_occurrence_id)
                    AND cancer._patient IS NOT DISTINCT FROM occurrence._patient)
