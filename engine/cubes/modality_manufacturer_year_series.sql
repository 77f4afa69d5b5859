-- Series of each modality by manufacturer and year, with more noise than the patients.
SET caim.noise_sd = 6;
SELECT series_modality AS modality,
       series_manufacturer AS manufacturer,
       date_part('year', series_acquisition_date) AS year,
       count(DISTINCT patient_id) AS patients,
       count(*) AS series
FROM image_series
GROUP BY series_modality, series_manufacturer, date_part('year', series_acquisition_date)
