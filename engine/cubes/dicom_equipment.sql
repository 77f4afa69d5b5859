-- Patients by manufacturer and model of the equipment, as the DICOM objects name them.
SET caim.noise_sd = 4;
SELECT Manufacturer AS manufacturer,
       ManufacturerModelName AS model,
       count(DISTINCT PatientID) AS patients
FROM dicom.series
GROUP BY Manufacturer, ManufacturerModelName
