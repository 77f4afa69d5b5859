-- Patients with images of each modality, by manufacturer and year of the series.
SET caim.noise_sd = 3;
SELECT series_modality AS modality,
       series_manufacturer AS manufacturer,
       date_part('year', series_acquisition_date) AS year,
       count(DISTINCT patient_id) AS patients
FROM image_series
GROUP BY series_modality, series_manufacturer, date_part('year', series_acquisition_date)
