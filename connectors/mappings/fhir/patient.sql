-- One row a Patient. FHIR's gender is the administrative one; where no source knows the sex at birth, it stands for it.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       birth_date AS patient_birth_date,
       concept('patient.patient_birth_sex', 'FHIR.AdministrativeGender', gender) AS patient_birth_sex,
       gender AS patient_birth_sex_original,
       concept('patient.patient_gender', 'FHIR.AdministrativeGender', gender) AS patient_gender,
       gender AS patient_gender_original,
       managing_organization AS patient_managing_organization,
       coalesce(deceased, deceased_date IS NOT NULL) AS patient_deceased,
       deceased_date AS patient_date_of_last_contact
FROM fhir.patient
