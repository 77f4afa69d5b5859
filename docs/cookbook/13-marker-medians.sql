-- Tumour markers: how often each was measured, and its quartiles.
SELECT label(tumor_marker_test_code) AS marker, count(*) AS tests,
       percentile_cont(0.25) WITHIN GROUP (ORDER BY tumor_marker_test_as_number) AS lower_quartile,
       median(tumor_marker_test_as_number) AS median,
       percentile_cont(0.75) WITHIN GROUP (ORDER BY tumor_marker_test_as_number) AS upper_quartile
FROM tumor_marker_test
WHERE tumor_marker_test_as_number BETWEEN 0 AND 100
GROUP BY tumor_marker_test_code
ORDER BY tests DESC
