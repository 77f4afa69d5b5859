-- Mean, spread and median of the age at diagnosis, by cancer.
SELECT label(cancer_condition_code) AS cancer,
       round(avg(cancer_condition_age_at_diagnosis), 1) AS mean,
       round(stddev(cancer_condition_age_at_diagnosis), 1) AS sd,
       round(median(cancer_condition_age_at_diagnosis), 0) AS median
FROM cancer_condition
GROUP BY cancer_condition_code
ORDER BY mean DESC
