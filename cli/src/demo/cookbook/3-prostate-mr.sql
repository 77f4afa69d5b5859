-- Is a study feasible? Patients with prostate cancer (from OMOP) who have an MR (from DICOM).
SELECT count(DISTINCT diagnosis.patient_id) AS patients
FROM omop.condition_occurrence AS diagnosis
WHERE diagnosis.condition_concept_id = 4163261
  AND EXISTS (SELECT 1
              FROM dicom.series
              WHERE series.patient_id = diagnosis.patient_id AND series.Modality = 'MR')
