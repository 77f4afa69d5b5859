-- Procedures with the codes of their standard and their source concept.
SELECT occurrence.*,
       standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
       source.vocabulary_id AS source_system, source.concept_code AS source_code
FROM omop.procedure_occurrence AS occurrence
LEFT JOIN landing.concept AS standard ON standard.concept_id = occurrence.procedure_concept_id
LEFT JOIN landing.concept AS source ON source.concept_id = occurrence.procedure_source_concept_id
