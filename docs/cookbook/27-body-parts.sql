-- Body parts of MR series; what is not coded is NULL.
SELECT BodyPartExamined, count(*) AS series, count(DISTINCT PatientID) AS patients
FROM dicom.series
WHERE Modality = 'MR'
GROUP BY BodyPartExamined
ORDER BY series DESC
