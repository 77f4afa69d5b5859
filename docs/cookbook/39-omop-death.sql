-- OMOP: deaths within a year of the first condition.
WITH firsts AS (SELECT person_id, min(condition_start_date) AS first
                FROM omop.condition_occurrence GROUP BY person_id)
SELECT EXTRACT(YEAR FROM f.first) AS year, count(DISTINCT d.person_id) AS persons
FROM firsts AS f
JOIN omop.death AS d ON d.person_id = f.person_id
WHERE d.death_date BETWEEN f.first AND f.first + INTERVAL '365' DAY
GROUP BY 1
ORDER BY year
