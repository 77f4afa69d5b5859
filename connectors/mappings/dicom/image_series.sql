-- Every series of dicom.series is an imaging series.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(seriesinstanceuid) AS series_id,
       seriesinstanceuid AS series_uid,
       studyinstanceuid AS study_uid,
       key_of(studyinstanceuid) AS study_id,
       seriesnumber AS series_number,
       concept('image_series.series_manufacturer', 'DICOM.Manufacturer', manufacturer) AS series_manufacturer,
       manufacturer AS series_manufacturer_original,
       concept('image_series.series_body_side_code', 'DICOM.BodyPartExamined', bodypartexamined) AS series_body_side_code,
       bodypartexamined AS series_body_side_code_original,
       concept('image_series.series_body_side_laterality', 'DICOM.Laterality', laterality) AS series_body_side_laterality,
       laterality AS series_body_side_laterality_original,
       coalesce(seriesdate, studydate) AS series_acquisition_date,
       concept('image_series.series_modality', 'DICOM.Modality', modality) AS series_modality,
       modality AS series_modality_original
FROM dicom.series
