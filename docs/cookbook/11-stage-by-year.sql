-- How completely stages are recorded: patients with a stage, of those diagnosed in each year.
SELECT year, diagnosed, staged, round(100.0 * staged / diagnosed, 0) AS percent
FROM (SELECT EXTRACT(YEAR FROM c.cancer_condition_asserted_date) AS year, count(DISTINCT c.patient_id) AS diagnosed
      FROM cancer_condition AS c
      GROUP BY 1) AS all_of_them
JOIN (SELECT EXTRACT(YEAR FROM c.cancer_condition_asserted_date) AS staged_year,
             count(DISTINCT c.patient_id) AS staged
      FROM cancer_condition AS c
      WHERE EXISTS (SELECT 1 FROM cancer_stage AS s WHERE s.patient_id = c.patient_id)
      GROUP BY 1) AS those_with_stage ON staged_year = year
ORDER BY year
