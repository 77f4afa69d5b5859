-- Ages and offsets that follow from other dates of the same patient; without a date of birth, the age that a source says.
WITH first AS (
    SELECT _patient, min(cancer_condition_asserted_date) AS day
    FROM staged.cancer_condition
    WHERE _patient IS NOT NULL
    GROUP BY _patient
)
SELECT condition._patient, condition._row, condition.dataset_id, condition.cancer_condition_id,
       condition.identifier,
       coalesce(completed_years(patient.patient_birth_date, condition.cancer_condition_asserted_date),
                condition.cancer_condition_age_at_diagnosis) AS cancer_condition_age_at_diagnosis,
       CASE WHEN patient.patient_birth_date IS NOT NULL AND condition.cancer_condition_asserted_date IS NOT NULL
            THEN 'a' ELSE condition.cancer_condition_age_unit END AS cancer_condition_age_unit,
       condition.cancer_condition_asserted_date,
       days_between(first.day, condition.cancer_condition_asserted_date) AS cancer_condition_offset_from_primary,
       CASE WHEN condition.cancer_condition_asserted_date IS NOT NULL THEN 'd' END AS cancer_condition_offset_unit,
       condition.cancer_condition_code, condition.cancer_condition_code_original,
       condition.cancer_condition_type, condition.cancer_condition_type_original,
       condition.cancer_condition_histology_morphology, condition.cancer_condition_histology_morphology_original,
       condition.cancer_condition_topography, condition.cancer_condition_topography_original
FROM staged.cancer_condition AS condition
LEFT JOIN eucaim.patient ON patient._patient = condition._patient
LEFT JOIN first ON first._patient = condition._patient
