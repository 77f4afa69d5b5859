-- Offsets from the first diagnosis of the same patient, and the number of the study among the patient's.
SELECT study._patient, study._row, study.dataset_id, study.study_id, study.study_uid, study.study_date,
       CASE WHEN study._patient IS NOT NULL
            THEN row_number() OVER (PARTITION BY study._patient ORDER BY study.study_date NULLS LAST, study.study_uid)
            END AS imagingtimepoint,
       days_between(first.day, study.study_date) AS study_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND study.study_date IS NOT NULL THEN 'd' END AS study_offset_unit
FROM staged.image_study AS study
LEFT JOIN staged.first_diagnosis AS first ON first._patient = study._patient
