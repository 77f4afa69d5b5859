-- New diagnoses a year, and the change from the year before: the window runs over released counts.
SELECT year, patients, patients - lag(patients) OVER (ORDER BY year) AS change
FROM (SELECT EXTRACT(YEAR FROM cancer_condition_asserted_date) AS year,
             count(DISTINCT patient_id) AS patients
      FROM cancer_condition
      GROUP BY 1) AS by_year
ORDER BY year
