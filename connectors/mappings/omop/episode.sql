-- One row an EPISODE, of whatever kind. Its own number says the order among those of its parent.
SELECT episode._patient,
       episode._row,
       episode.collection_id AS dataset_id,
       key_of(episode.collection_id, episode.episode_id) AS episode_id,
       concept('episode.episode_type_code', 'OMOP', episode.episode_concept_id,
               standard.vocabulary_id, standard.concept_code) AS episode_type_code,
       original(standard.vocabulary_id, standard.concept_code, 'OMOP', episode.episode_concept_id,
                NULL, episode.episode_source_value) AS episode_type_code_original,
       episode.episode_number,
       episode.episode_start_date,
       episode.episode_end_date,
       key_of(episode.collection_id, episode.episode_parent_id) AS episode_parent_id
FROM omop.episode
LEFT JOIN landing.concept AS standard ON standard.concept_id = episode.episode_concept_id
