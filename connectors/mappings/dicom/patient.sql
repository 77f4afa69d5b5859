-- What studies say of their patient: the first study that has a value decides.
SELECT _patient,
       min(_row) AS _row,
       first_value(collection_id ORDER BY studydate, studyinstanceuid) AS dataset_id,
       first_value(patientbirthdate ORDER BY studydate, studyinstanceuid)
           FILTER (WHERE patientbirthdate IS NOT NULL) AS patient_birth_date,
       concept('patient.patient_birth_sex', 'DICOM.PatientSex', first_value(patientsex ORDER BY studydate, studyinstanceuid)
           FILTER (WHERE patientsex IS NOT NULL)) AS patient_birth_sex,
       first_value(patientsex ORDER BY studydate, studyinstanceuid)
           FILTER (WHERE patientsex IS NOT NULL) AS patient_birth_sex_original,
       max(studydate) AS patient_date_of_last_contact
FROM dicom.study
WHERE _patient IS NOT NULL
GROUP BY _patient
