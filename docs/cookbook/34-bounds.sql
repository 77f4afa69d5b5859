-- The bounds of every single count as columns: where the truth lies, in 95 of 100 cells.
SELECT Modality, count(DISTINCT PatientID) AS patients, lower(count(DISTINCT PatientID)) AS at_least,
       upper(count(DISTINCT PatientID)) AS at_most, status(count(DISTINCT PatientID)) AS status
FROM dicom.series
GROUP BY Modality
ORDER BY Modality
