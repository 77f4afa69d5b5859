-- All procedures, with or without a concept: what was done is a question of its own, whatever it was done for.
SELECT occurrence._patient,
       occurrence._row,
       occurrence.collection_id AS dataset_id,
       key_of(occurrence.collection_id, occurrence.procedure_occurrence_id) AS procedure_id,
       concept('procedure.procedure_code', 'OMOP', occurrence.procedure_concept_id,
               standard.vocabulary_id, standard.concept_code, source.vocabulary_id, source.concept_code)
           AS procedure_code,
       original(standard.vocabulary_id, standard.concept_code, 'OMOP', occurrence.procedure_concept_id,
                source.vocabulary_id, source.concept_code, NULL, occurrence.procedure_source_value)
           AS procedure_code_original,
       occurrence.procedure_date
FROM omop.procedure_occurrence AS occurrence
LEFT JOIN landing.concept AS standard ON standard.concept_id = occurrence.procedure_concept_id
LEFT JOIN landing.concept AS source ON source.concept_id = occurrence.procedure_source_concept_id
