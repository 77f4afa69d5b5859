-- Offsets from the first diagnosis of the same patient; and of the diagnoses, those that are cancers.
SELECT procedure._patient, procedure._row, procedure.dataset_id, procedure.procedure_id,
       cancer.cancer_condition_id, procedure.procedureidentifier,
       procedure.procedure_code, procedure.procedure_code_original,
       procedure.procedure_category, procedure.procedure_category_original,
       procedure.procedure_evaluation_finding, procedure.procedure_evaluation_finding_original,
       days_between(first.day, procedure.procedure_date) AS procedure_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND procedure.procedure_date IS NOT NULL THEN 'd' END AS procedure_offset_unit,
       procedure.procedure_date
FROM staged.procedure AS procedure
LEFT JOIN staged.first_diagnosis AS first ON first._patient = procedure._patient
LEFT JOIN (SELECT DISTINCT _patient, cancer_condition_id FROM eucaim.cancer_condition) AS cancer
       ON cancer._patient = procedure._patient AND cancer.cancer_condition_id = procedure.cancer_condition_id
