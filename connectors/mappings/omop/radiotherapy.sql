-- Procedures that are radiotherapy: those with a concept below it. The technique is the same concept where it says one.
WITH irradiation AS (
    SELECT *, concept('radiotherapy.radiotherapy_modality', 'OMOP', procedure_concept_id,
                      standard_system, standard_code, source_system, source_code) AS code
    FROM staged.coded_procedure
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
