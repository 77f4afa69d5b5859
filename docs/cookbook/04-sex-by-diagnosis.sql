-- Women and men by cancer, each cancer with its share of women.
SELECT label(code) AS cancer, women, men, round(100.0 * women / (women + men), 1) AS percent_women
FROM (SELECT c.cancer_condition_code AS code,
             count(DISTINCT c.patient_id) FILTER (WHERE p.patient_birth_sex = 'EUCAIM:COM1001370') AS women,
             count(DISTINCT c.patient_id) FILTER (WHERE p.patient_birth_sex = 'EUCAIM:COM1001366') AS men
      FROM cancer_condition AS c
      JOIN patient AS p ON p.patient_id = c.patient_id
      GROUP BY c.cancer_condition_code) AS counted
ORDER BY women + men DESC
