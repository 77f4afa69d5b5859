-- And what never happens: rows of patients do not leave a hospital.
SELECT * FROM patient
