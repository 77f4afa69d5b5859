-- Imaging a year, by modality, with totals: ROLLUP asks for each total by itself.
SELECT EXTRACT(YEAR FROM StudyDate) AS year, Modality, count(DISTINCT PatientID) AS patients
FROM dicom.series
WHERE Modality IN ('CT', 'MR') AND StudyDate >= DATE '2020-01-01'
GROUP BY ROLLUP(EXTRACT(YEAR FROM StudyDate), Modality)
ORDER BY year NULLS LAST, Modality NULLS LAST
