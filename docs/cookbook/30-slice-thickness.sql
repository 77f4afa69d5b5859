-- Slice thickness of CT: mean and quartiles, between public bounds.
SELECT count(*) AS series, round(avg(SliceThickness), 2) AS mean, median(SliceThickness) AS median,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY SliceThickness) AS ninth_decile
FROM dicom.instance
WHERE Modality = 'CT' AND SliceThickness BETWEEN 0 AND 16
