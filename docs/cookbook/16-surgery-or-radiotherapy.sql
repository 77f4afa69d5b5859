-- Surgery, radiotherapy, both or neither, among patients with a cancer.
SELECT 'surgery' AS treated_by, count(DISTINCT patient_id) AS patients FROM cancer_condition
WHERE patient_id IN (SELECT patient_id FROM surgical_procedure)
  AND patient_id NOT IN (SELECT patient_id FROM radiotherapy)
UNION ALL
SELECT 'radiotherapy', count(DISTINCT patient_id) FROM cancer_condition
WHERE patient_id IN (SELECT patient_id FROM radiotherapy)
  AND patient_id NOT IN (SELECT patient_id FROM surgical_procedure)
UNION ALL
SELECT 'both', count(DISTINCT patient_id) FROM cancer_condition
WHERE patient_id IN (SELECT patient_id FROM radiotherapy)
  AND patient_id IN (SELECT patient_id FROM surgical_procedure)
UNION ALL
SELECT 'neither', count(DISTINCT patient_id) FROM cancer_condition
WHERE patient_id NOT IN (SELECT patient_id FROM radiotherapy)
  AND patient_id NOT IN (SELECT patient_id FROM surgical_procedure)
ORDER BY patients DESC
