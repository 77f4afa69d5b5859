-- Series, studies and patients by modality.
SELECT Modality, count(*) AS series, count(DISTINCT StudyInstanceUID) AS studies,
       count(DISTINCT PatientID) AS patients
FROM dicom.series
GROUP BY Modality
ORDER BY series DESC
