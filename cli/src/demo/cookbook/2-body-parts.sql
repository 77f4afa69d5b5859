-- What is imaged how? HAVING, ORDER BY and LIMIT act on released values.
SELECT BodyPartExamined AS body_part, Modality, count(DISTINCT PatientID) AS patients
FROM dicom.series
WHERE BodyPartExamined IS NOT NULL
GROUP BY BodyPartExamined, Modality
HAVING count(DISTINCT PatientID) >= 500
ORDER BY patients DESC
LIMIT 10
