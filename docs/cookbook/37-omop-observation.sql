-- OMOP: how long persons are observed, in years.
SELECT floor(date_diff('day', observation_period_start_date, observation_period_end_date) / 365) * 365 AS days,
       count(DISTINCT person_id) AS persons
FROM omop.observation_period
WHERE date_diff('day', observation_period_start_date, observation_period_end_date) BETWEEN 0 AND 3649
GROUP BY 1
ORDER BY days
