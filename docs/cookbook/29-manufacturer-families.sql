-- Spellings of one manufacturer together: LIKE over values that are published.
SELECT CASE WHEN upper(Manufacturer) LIKE 'SIEMENS%' THEN 'Siemens'
            WHEN upper(Manufacturer) LIKE 'GE %' THEN 'GE'
            WHEN upper(Manufacturer) LIKE 'PHILIPS%' THEN 'Philips'
            ELSE 'others' END AS family,
       count(*) AS series
FROM dicom.series
GROUP BY 1
ORDER BY series DESC
