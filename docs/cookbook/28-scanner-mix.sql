-- The scanners behind the images: manufacturers by modality.
SELECT Modality, Manufacturer, count(DISTINCT PatientID) AS patients
FROM dicom.series
WHERE Modality IN ('CT', 'MR')
GROUP BY Modality, Manufacturer
HAVING count(DISTINCT PatientID) >= 20
ORDER BY Modality, patients DESC
