-- Is a study feasible? Patients with prostate cancer, by any code, and an MR within 90 days of the
-- diagnosis: the one comes from clinical records, the other from the image archive.
SELECT count(DISTINCT cancer.patient_id) AS patients
FROM cancer_condition AS cancer
WHERE is_a(cancer.cancer_condition_code, 'SNOMEDCT:399068003')
  AND EXISTS (SELECT 1
              FROM image_series AS series
              WHERE series.patient_id = cancer.patient_id
                AND is_a(series.series_modality, 'EUCAIM:IMG1000038')
                AND date_diff('day', cancer.cancer_condition_asserted_date,
                              series.series_acquisition_date) BETWEEN -90 AND 90)
