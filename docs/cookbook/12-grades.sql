-- Histologic grades, by the system that they are given in.
SELECT label(histologic_grade_scoring_system) AS system, label(histologic_grade_value_as_concept) AS grade,
       count(DISTINCT patient_id) AS patients
FROM histologic_grade
GROUP BY histologic_grade_scoring_system, histologic_grade_value_as_concept
HAVING count(DISTINCT patient_id) >= 10
ORDER BY system, patients DESC
