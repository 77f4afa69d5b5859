-- The parameters of an acquisition for which the hyperontology has a concept, one row a value that a series has:
-- slice thickness, echo time, kind of echo, and position of the patient. Attributes are named by their DICOM tags.
WITH value AS (
    SELECT _patient, _row, collection_id, seriesinstanceuid AS series_uid, coalesce(seriesdate, studydate) AS day,
           '(0018,0050)' AS tag, slicethickness AS number, CAST(NULL AS VARCHAR) AS term, 'mm' AS unit
    FROM dicom.series
    UNION ALL
    SELECT _patient, min(_row), min(collection_id), seriesinstanceuid, min(coalesce(seriesdate, studydate)),
           '(0018,0081)', echotime, NULL, 'ms'
    FROM dicom.instance
    WHERE echotime IS NOT NULL
    GROUP BY _patient, seriesinstanceuid, echotime
    UNION ALL
    SELECT _patient, min(_row), min(collection_id), seriesinstanceuid, min(coalesce(seriesdate, studydate)),
           '(0018,0020)', NULL, scanningsequence, NULL
    FROM dicom.instance
    WHERE scanningsequence IS NOT NULL
    GROUP BY _patient, seriesinstanceuid, scanningsequence
    UNION ALL
    SELECT _patient, min(_row), min(collection_id), seriesinstanceuid, min(coalesce(seriesdate, studydate)),
           '(0018,5100)', NULL, patientposition, NULL
    FROM dicom.instance
    WHERE patientposition IS NOT NULL
    GROUP BY _patient, seriesinstanceuid, patientposition
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(series_uid, tag, coalesce(term, CAST(number AS VARCHAR))) AS modality_id,
       series_uid,
       key_of(series_uid) AS series_id,
       concept('image_modality.acquisition_parameter_code', 'DICOM', tag) AS acquisition_parameter_code,
       'DICOM:' || tag AS acquisition_parameter_code_original,
       concept('image_modality.acquisition_parameter_value_as_code',
               CASE tag WHEN '(0018,0020)' THEN 'DICOM.ScanningSequence' ELSE 'DICOM.PatientPosition' END, term)
           AS acquisition_parameter_value_as_code,
       term AS acquisition_parameter_value_as_code_original,
       number AS acquisition_parameter_value_as_number,
       unit AS acquisition_parameter_value_unit,
       day AS acquisition_date
FROM value
WHERE series_uid IS NOT NULL AND (number IS NOT NULL OR term IS NOT NULL)
