-- Is a study feasible? Patients with prostate cancer and an MR within 90 days of the diagnosis:
-- the diagnosis comes from clinical records, the MR from the image archive.
SELECT count(DISTINCT cancer.patient_id) AS patients
FROM cancer_condition AS cancer
WHERE cancer.cancer_condition_code = 'EUCAIM:CLIN1000075'
  AND EXISTS (SELECT 1
              FROM image_series AS series
              WHERE series.patient_id = cancer.patient_id
                AND series.series_modality = 'EUCAIM:IMG1000038'
                AND date_diff('day', cancer.cancer_condition_asserted_date,
                              series.series_acquisition_date) BETWEEN -90 AND 90)
