-- Offsets from the first diagnosis of the same patient. What says the technique is what says the kind.
SELECT irradiation._patient, irradiation._row, irradiation.dataset_id, irradiation.treatment_id,
       irradiation.radiotherapy_modality, irradiation.radiotherapy_modality_original,
       irradiation.radiotherapy_technique,
       CASE WHEN irradiation.radiotherapy_technique IS NOT NULL
            THEN irradiation.radiotherapy_modality_original END AS radiotherapy_technique_original,
       irradiation.radiotherapy_start_date, irradiation.radiotherapy_end_date,
       days_between(first.day, irradiation.radiotherapy_start_date) AS radiotherapy_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND irradiation.radiotherapy_start_date IS NOT NULL
            THEN 'd' END AS radiotherapy_offset_unit
FROM staged.radiotherapy AS irradiation
LEFT JOIN staged.first_diagnosis AS first ON first._patient = irradiation._patient
