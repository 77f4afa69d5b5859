-- Records of episodes, where a table of this schema has them for the same patient. The field concepts name the OMOP
-- table: 1147127 conditions, 1147082 procedures, 1147094 drugs, 1147138 measurements. EPISODE_EVENT names no patient,
-- its episode does.
WITH record AS (
    SELECT _patient, 1147127 AS field, 'cancer_condition' AS name, cancer_condition_id AS id,
           cancer_condition_asserted_date AS day FROM eucaim.cancer_condition
    UNION ALL
    SELECT _patient, 1147127, 'medical_history', medical_history_id, medical_history_date FROM eucaim.medical_history
    UNION ALL
    SELECT _patient, 1147082, 'procedure', procedure_id, procedure_date FROM eucaim.procedure
    UNION ALL
    SELECT _patient, 1147094, 'treatment', treatment_id, medication_start_date FROM eucaim.medication_administration
    UNION ALL
    SELECT _patient, 1147138, 'tumor_marker_test', tumor_marker_test_id, tumor_marker_date FROM eucaim.tumor_marker_test
    UNION ALL
    SELECT _patient, 1147138, 'cancer_stage', cancer_stage_id, cancer_stage_date FROM eucaim.cancer_stage
    UNION ALL
    SELECT _patient, 1147138, 'histologic_grade', histologic_grade_id, histologic_grade_date FROM eucaim.histologic_grade
    UNION ALL
    SELECT _patient, 1147138, 'lab_test_result', lab_test_id, lab_test_date FROM eucaim.lab_test_result
), event AS (
    SELECT DISTINCT episode._patient, episode._row, episode.collection_id, episode.episode_id,
           event.episode_event_field_concept_id AS field,
           CASE WHEN event.episode_event_field_concept_id = 1147094
                THEN key_of(event.collection_id, 'drug', event.event_id)
                ELSE key_of(event.collection_id, event.event_id) END AS id
    FROM omop.episode_event AS event
    JOIN omop.episode ON episode.episode_id = event.episode_id AND episode.collection_id = event.collection_id
)
SELECT event._patient,
       event._row,
       event.collection_id AS dataset_id,
       key_of(event.collection_id, event.episode_id) AS episode_id,
       record.id AS event_table_id,
       record.name AS event_table_name,
       record.day AS event_date
FROM event
JOIN record ON record._patient = event._patient AND record.field = event.field AND record.id = event.id
