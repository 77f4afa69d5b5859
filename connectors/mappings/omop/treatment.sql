-- A treatment for every operation, every course of radiotherapy, every drug, and every other procedure with a concept
-- below the treatments. CLIN1004413 is a surgical procedure, CLIN1014933 radiotherapy, CLIN1034187 the administration of
-- a medication. Those of OMOP are the first part of staged.medication_administration.
WITH procedure AS (
    SELECT *, concept('procedure.procedure_code', 'OMOP', procedure_concept_id,
                      standard_system, standard_code, source_system, source_code) AS code
    FROM staged.coded_procedure
), treatment AS (
    SELECT procedure.*,
           CASE WHEN concept('radiotherapy.radiotherapy_modality', 'EUCAIM', code) IS NOT NULL
                THEN concept('treatment.treatment_type', 'EUCAIM', 'CLIN1014933')
                WHEN concept('surgical_procedure.surgical_procedure_code', 'EUCAIM', code) IS NOT NULL
                THEN concept('treatment.treatment_type', 'EUCAIM', 'CLIN1004413')
                ELSE concept('treatment.treatment_type', 'EUCAIM', code) END AS kind
    FROM procedure
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, 'procedure', procedure_occurrence_id) AS treatment_id,
       kind AS treatment_type,
       original(standard_system, standard_code, 'OMOP', procedure_concept_id,
                source_system, source_code, NULL, procedure_source_value) AS treatment_type_original,
       procedure_date AS treatment_date
FROM treatment
WHERE kind IS NOT NULL
UNION ALL
SELECT _patient,
       _row,
       dataset_id,
       treatment_id,
       concept('treatment.treatment_type', 'EUCAIM', 'CLIN1034187'),
       medication_code_original,
       medication_start_date
FROM staged.medication_administration
WHERE _source = 1
