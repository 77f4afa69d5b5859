-- One row an administration, an order or a statement of a drug, by what is told best.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       treatment_id,
       concept AS medication_code,
       original(code_system, code) AS medication_code_original,
       treatment_id AS medication_id,
       start_date AS medication_start_date,
       end_date AS medication_end_date,
       dose AS medication_total_dose,
       dose_unit AS medication_dose_unit,
       days_between(start_date, end_date) AS medication_effective_period,
       CASE WHEN start_date IS NOT NULL AND end_date IS NOT NULL THEN 'd' END AS medication_effective_period_unit
FROM staged.given_medication
