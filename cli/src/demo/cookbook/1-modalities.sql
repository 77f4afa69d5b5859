-- Which modalities do the hospitals have, and of how many patients? What one patient adds is
-- bounded: here, at most three groups. So no single person matters much to any answer.
SELECT Modality, count(DISTINCT PatientID) AS patients
FROM dicom.series
GROUP BY Modality
ORDER BY patients DESC
