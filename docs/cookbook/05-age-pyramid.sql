-- An age pyramid at the time of imaging: decades of age by sex.
SELECT floor(PatientAge / 10) * 10 AS decade,
       count(DISTINCT PatientID) FILTER (WHERE PatientSex = 'F') AS women,
       count(DISTINCT PatientID) FILTER (WHERE PatientSex = 'M') AS men
FROM dicom.study
WHERE PatientAge IS NOT NULL
GROUP BY 1
ORDER BY decade
