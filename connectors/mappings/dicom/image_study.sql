-- Every study of dicom.study is an imaging study.
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(studyinstanceuid) AS study_id,
       studyinstanceuid AS study_uid,
       studydate AS study_date
FROM dicom.study
