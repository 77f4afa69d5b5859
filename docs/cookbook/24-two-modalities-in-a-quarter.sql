-- Patients and quarters with both a CT and an MR.
SELECT year, quarter, count(*) AS patients
FROM (SELECT patient_id, EXTRACT(YEAR FROM StudyDate) AS year, EXTRACT(QUARTER FROM StudyDate) AS quarter,
             max(CASE WHEN Modality = 'CT' THEN 1 ELSE 0 END) AS ct,
             max(CASE WHEN Modality = 'MR' THEN 1 ELSE 0 END) AS mr
      FROM dicom.series
      WHERE StudyDate >= DATE '2022-01-01'
      GROUP BY patient_id, EXTRACT(YEAR FROM StudyDate), EXTRACT(QUARTER FROM StudyDate)) AS of_patient
WHERE ct = 1 AND mr = 1
GROUP BY year, quarter
ORDER BY year, quarter
