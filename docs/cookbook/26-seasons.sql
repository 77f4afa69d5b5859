-- Is there a season? Studies by month, over all years.
SELECT EXTRACT(MONTH FROM StudyDate) AS month, count(DISTINCT StudyInstanceUID) AS studies
FROM dicom.study
GROUP BY 1
ORDER BY month
