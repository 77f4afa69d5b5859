-- Offsets from the first diagnosis of the same patient.
SELECT episode._patient, episode._row, episode.dataset_id, episode.episode_id,
       episode.episode_type_code, episode.episode_type_code_original, episode.episode_number,
       episode.episode_start_date, episode.episode_end_date,
       days_between(first.day, episode.episode_start_date) AS episode_offset_from_diagnosis,
       CASE WHEN first.day IS NOT NULL AND episode.episode_start_date IS NOT NULL THEN 'd' END AS episode_offset_unit,
       episode.episode_parent_id
FROM staged.episode AS episode
LEFT JOIN staged.first_diagnosis AS first ON first._patient = episode._patient
