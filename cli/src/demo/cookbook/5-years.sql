-- Does imaging grow, and do its patients get older? A mean is a noised sum over a noised count.
SELECT EXTRACT(YEAR FROM StudyDate) AS year, count(DISTINCT PatientID) AS patients,
       avg(PatientAge) AS mean_age
FROM dicom.study
WHERE StudyDate >= DATE '2016-01-01' AND StudyDate < DATE '2025-01-01'
GROUP BY EXTRACT(YEAR FROM StudyDate)
ORDER BY year
