-- Patients with thin-slice CT of the chest.
SELECT count(DISTINCT PatientID) AS patients
FROM dicom.instance
WHERE Modality = 'CT' AND BodyPartExamined = 'CHEST' AND SliceThickness <= 2
