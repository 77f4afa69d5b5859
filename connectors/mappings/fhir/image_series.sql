-- Series of which no DICOM source tells.
SELECT series._patient,
       series._row,
       series.collection_id AS dataset_id,
       key_of(series.series_uid) AS series_id,
       series.series_uid,
       series.study_uid,
       key_of(series.study_uid) AS study_id,
       series.number AS series_number,
       concept('image_series.series_body_side_code', series.body_site_system, series.body_site) AS series_body_side_code,
       original(series.body_site_system, series.body_site) AS series_body_side_code_original,
       series.laterality AS series_body_side_laterality_original,
       series.started_date AS series_acquisition_date,
       concept('image_series.series_modality', 'DICOM.Modality', series.modality) AS series_modality,
       series.modality AS series_modality_original
FROM fhir.imaging_series AS series
WHERE series.series_uid IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM dicom.series AS known
                  WHERE known.seriesinstanceuid = series.series_uid
                    AND known._patient IS NOT DISTINCT FROM series._patient)
