-- One row a patient: OMOP before FHIR before DICOM, the first that has a value decides; a mapped value before one that
-- is not.
SELECT patient._patient,
       min(patient._row) AS _row,
       first_value(dataset_id ORDER BY _source, patient._row) FILTER (WHERE dataset_id IS NOT NULL) AS dataset_id,
       first_value(patient_birth_date ORDER BY _source, patient._row)
           FILTER (WHERE patient_birth_date IS NOT NULL) AS patient_birth_date,
       first_value(patient_birth_sex ORDER BY patient_birth_sex IS NULL, _source, patient._row)
           FILTER (WHERE patient_birth_sex_original IS NOT NULL) AS patient_birth_sex,
       first_value(patient_birth_sex_original ORDER BY patient_birth_sex IS NULL, _source, patient._row)
           FILTER (WHERE patient_birth_sex_original IS NOT NULL) AS patient_birth_sex_original,
       first_value(patient_gender ORDER BY patient_gender IS NULL, _source, patient._row)
           FILTER (WHERE patient_gender_original IS NOT NULL) AS patient_gender,
       first_value(patient_gender_original ORDER BY patient_gender IS NULL, _source, patient._row)
           FILTER (WHERE patient_gender_original IS NOT NULL) AS patient_gender_original,
       first_value(patient_race ORDER BY patient_race IS NULL, _source, patient._row)
           FILTER (WHERE patient_race_original IS NOT NULL) AS patient_race,
       first_value(patient_race_original ORDER BY patient_race IS NULL, _source, patient._row)
           FILTER (WHERE patient_race_original IS NOT NULL) AS patient_race_original,
       first_value(patient_ethnicity ORDER BY patient_ethnicity IS NULL, _source, patient._row)
           FILTER (WHERE patient_ethnicity_original IS NOT NULL) AS patient_ethnicity,
       first_value(patient_ethnicity_original ORDER BY patient_ethnicity IS NULL, _source, patient._row)
           FILTER (WHERE patient_ethnicity_original IS NOT NULL) AS patient_ethnicity_original,
       first_value(patient_managing_organization ORDER BY _source, patient._row)
           FILTER (WHERE patient_managing_organization IS NOT NULL) AS patient_managing_organization,
       bool_or(patient_deceased) AS patient_deceased,
       max(patient_date_of_last_contact) AS patient_date_of_last_contact,
       first_value(patient_cause_of_death ORDER BY patient_cause_of_death IS NULL, _source, patient._row)
           FILTER (WHERE patient_cause_of_death_original IS NOT NULL) AS patient_cause_of_death,
       first_value(patient_cause_of_death_original ORDER BY patient_cause_of_death IS NULL, _source, patient._row)
           FILTER (WHERE patient_cause_of_death_original IS NOT NULL) AS patient_cause_of_death_original
FROM staged.patient
GROUP BY patient._patient
