-- Procedures that are radiotherapy: those with a concept below it. The technique is the same concept where it says one.
WITH irradiation AS (
    SELECT occurrence.*,
           standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
           source.vocabulary_id AS source_system, source.concept_code AS source_code,
           concept('radiotherapy.radiotherapy_modality', 'OMOP', occurrence.procedure_concept_id,
                   standard.vocabulary_id, standard.concept_code, source.vocabulary_id, source.concept_code) AS code
    FROM omop.procedure_occurrence AS occurrence
    LEFT JOIN landing.concept AS standard ON standard.concept_id = occurrence.procedure_concept_id
    LEFT JOIN landing.concept AS source ON source.concept_id = occurrence.procedure_source_concept_id
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, 'procedure', procedure_occurrence_id) AS treatment_id,
       code AS radiotherapy_modality,
       original(standard_system, standard_code, 'OMOP', procedure_concept_id,
                source_system, source_code, NULL, procedure_source_value) AS radiotherapy_modality_original,
       concept('radiotherapy.radiotherapy_technique', 'EUCAIM', code) AS radiotherapy_technique,
       procedure_date AS radiotherapy_start_date,
       procedure_end_date AS radiotherapy_end_date
FROM irradiation
WHERE code IS NOT NULL
