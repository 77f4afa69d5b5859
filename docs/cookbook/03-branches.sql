-- The same in broader groups: the concepts two steps beneath the top of the vocabulary. The nodes group by
-- concept, the hub puts labels to what they released.
SELECT label(branch) AS branch, patients
FROM (SELECT roll_up(cancer_condition_code, 2) AS branch, count(DISTINCT patient_id) AS patients
      FROM cancer_condition
      GROUP BY 1) AS rolled_up
ORDER BY patients DESC
