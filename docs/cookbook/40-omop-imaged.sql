-- OMOP and DICOM: persons with a condition whose archive holds a PET within half a year.
SELECT count(DISTINCT c.person_id) AS persons
FROM omop.condition_occurrence AS c
WHERE EXISTS (SELECT 1 FROM dicom.series AS s
              WHERE s.patient_id = c.patient_id AND s.Modality = 'PT'
                AND s.StudyDate BETWEEN c.condition_start_date AND c.condition_start_date + INTERVAL '183' DAY)
