-- The last value of each patient's marker: ROW_NUMBER picks one row a patient, the mean runs over
-- patients.
SELECT label(code) AS marker, count(*) AS patients, round(avg(value), 1) AS mean_of_last
FROM (SELECT patient_id, tumor_marker_test_code AS code, tumor_marker_test_as_number AS value,
             row_number() OVER (PARTITION BY patient_id ORDER BY tumor_marker_date DESC) AS place
      FROM tumor_marker_test
      WHERE tumor_marker_test_as_number IS NOT NULL) AS newest
WHERE place = 1
GROUP BY code
ORDER BY patients DESC
