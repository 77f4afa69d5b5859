-- What each hospital released, side by side: as dear as the total alone.
SELECT node_id, count(DISTINCT patient_id) AS patients, count(*) AS series
FROM image_series
GROUP BY node_id
ORDER BY node_id
