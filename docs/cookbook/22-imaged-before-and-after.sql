-- Patients with a CT before their diagnosis and another one after it.
SELECT count(DISTINCT c.patient_id) AS patients
FROM cancer_condition AS c
WHERE EXISTS (SELECT 1 FROM image_series AS s
              WHERE s.patient_id = c.patient_id AND label(s.series_modality) ILIKE '%computed tomography%'
                AND s.series_acquisition_date < c.cancer_condition_asserted_date)
  AND EXISTS (SELECT 1 FROM image_series AS s
              WHERE s.patient_id = c.patient_id AND label(s.series_modality) ILIKE '%computed tomography%'
                AND s.series_acquisition_date > c.cancer_condition_asserted_date)
