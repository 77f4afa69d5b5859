-- Offsets from the first diagnosis of the same patient.
SELECT medication._patient, medication._row, medication.dataset_id, medication.treatment_id,
       medication.medication_code, medication.medication_code_original, medication.medication_id,
       medication.medication_start_date, medication.medication_end_date,
       days_between(first.day, medication.medication_start_date) AS medication_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND medication.medication_start_date IS NOT NULL
            THEN 'd' END AS medication_offset_unit,
       medication.medication_total_dose, medication.medication_dose_unit,
       medication.medication_effective_period, medication.medication_effective_period_unit
FROM staged.medication_administration AS medication
LEFT JOIN staged.first_diagnosis AS first ON first._patient = medication._patient
