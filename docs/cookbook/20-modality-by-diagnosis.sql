-- Which modalities patients with each cancer have: two worlds, joined by the patient.
SELECT label(cancer.cancer_condition_code) AS cancer, label(series.series_modality) AS modality,
       count(DISTINCT cancer.patient_id) AS patients
FROM cancer_condition AS cancer
JOIN image_series AS series ON series.patient_id = cancer.patient_id
GROUP BY cancer.cancer_condition_code, series.series_modality
HAVING count(DISTINCT cancer.patient_id) >= 20
ORDER BY cancer, patients DESC
