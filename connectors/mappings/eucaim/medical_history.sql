-- Ages that follow from other dates of the same patient.
SELECT history._patient, history._row, history.dataset_id, history.medical_history_id,
       history.medical_history_code, history.medical_history_code_original,
       history.medical_history_category_original,
       completed_years(patient.patient_birth_date, history.medical_history_date) AS medical_history_onset_age,
       CASE WHEN patient.patient_birth_date IS NOT NULL AND history.medical_history_date IS NOT NULL
            THEN 'a' END AS medical_history_onset_age_unit,
       history.medical_history_date
FROM staged.medical_history AS history
LEFT JOIN eucaim.patient ON patient._patient = history._patient
