-- Offsets from the first diagnosis of the same patient.
SELECT operation._patient, operation._row, operation.dataset_id, operation.treatment_id,
       operation.surgical_procedure_code, operation.surgical_procedure_code_original,
       operation.surgical_procedure_body_site_code, operation.surgical_procedure_body_site_code_original,
       days_between(first.day, operation.surgical_procedure_date) AS surgical_procedure_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND operation.surgical_procedure_date IS NOT NULL
            THEN 'd' END AS surgical_procedure_offset_from_diagnosis_unit,
       operation.surgical_procedure_date
FROM staged.surgical_procedure AS operation
LEFT JOIN staged.first_diagnosis AS first ON first._patient = operation._patient
