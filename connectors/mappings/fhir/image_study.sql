-- Imaging studies of which no DICOM source tells: an image archive knows its studies better.
SELECT study._patient,
       study._row,
       study.collection_id AS dataset_id,
       key_of(study.study_uid) AS study_id,
       study.study_uid,
       study.started_date AS study_date
FROM fhir.imaging_study AS study
WHERE study.study_uid IS NOT NULL
  AND coalesce(study.status, '') NOT IN ('entered-in-error', 'cancelled')
  AND NOT EXISTS (SELECT 1 FROM dicom.study AS known
                  WHERE known.studyinstanceuid = study.study_uid
                    AND known._patient IS NOT DISTINCT FROM study._patient)
