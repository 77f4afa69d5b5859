-- Who has died, by cancer, among patients whose records say.
SELECT label(code) AS cancer, patients, deceased, round(100.0 * deceased / patients, 1) AS percent
FROM (SELECT c.cancer_condition_code AS code, count(DISTINCT c.patient_id) AS patients,
             count(DISTINCT c.patient_id) FILTER (WHERE p.patient_deceased) AS deceased
      FROM cancer_condition AS c
      JOIN patient AS p ON p.patient_id = c.patient_id
      WHERE p.patient_deceased IS NOT NULL
      GROUP BY c.cancer_condition_code) AS counted
ORDER BY patients DESC
