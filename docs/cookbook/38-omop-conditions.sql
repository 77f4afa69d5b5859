-- OMOP: the most frequent conditions, with their names.
SELECT n.concept_name, count(DISTINCT c.person_id) AS persons
FROM omop.condition_occurrence AS c
JOIN omop.concept AS n ON n.concept_id = c.condition_concept_id
GROUP BY n.concept_name
ORDER BY persons DESC
