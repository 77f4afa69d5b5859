-- Longitudinal imaging: patients by their number of MR studies.
SELECT studies, count(*) AS patients
FROM (SELECT patient_id, count(DISTINCT StudyInstanceUID) AS studies
      FROM dicom.series
      WHERE Modality = 'MR'
      GROUP BY patient_id) AS of_patient
WHERE studies BETWEEN 1 AND 8
GROUP BY studies
ORDER BY studies
