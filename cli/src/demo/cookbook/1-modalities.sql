-- Which modalities do the hospitals have, and of how many patients?
SELECT Modality, count(DISTINCT PatientID) AS patients
FROM dicom.series
GROUP BY Modality
ORDER BY patients DESC
