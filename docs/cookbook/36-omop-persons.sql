-- OMOP: persons by gender and decade of birth.
SELECT p.gender_concept_id, floor(p.year_of_birth / 10) * 10 AS decade, count(DISTINCT p.person_id) AS persons
FROM omop.person AS p
GROUP BY 1, 2
HAVING count(DISTINCT p.person_id) >= 5
ORDER BY decade, p.gender_concept_id
