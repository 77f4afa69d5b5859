"""Ten questions about cohorts, in the SQL that Caim and DuckDB share; `is_a` becomes a list of codes for DuckDB.

Where a table of DICOM or OMOP knows more than the common model, that table is asked.
"""

THORAX = "EUCAIM:CLIN1000078"
QUERIES = {
    "patients with prostate cancer and MR, by sex and age": """
        SELECT p.patient_birth_sex, floor(c.cancer_condition_age_at_diagnosis / 10) * 10 AS age,
               count(DISTINCT p.patient_id) AS patients
        FROM eucaim.patient p
        JOIN eucaim.cancer_condition c ON c.patient_id = p.patient_id
        JOIN dicom.series s ON s.patient_id = p.patient_id
        WHERE is_a(c.cancer_condition_code, 'ICD10:C61') AND s.Modality = 'MR'
          AND s.StudyDate >= DATE '2012-01-01' AND s.StudyDate < DATE '2018-01-01'
        GROUP BY 1, 2""",
    "collections: studies, subjects, series, images, bytes": """
        SELECT collection_id, count(DISTINCT StudyInstanceUID) AS studies, count(DISTINCT patient_id) AS subjects,
               count(*) AS series, sum(instanceCount) AS images, sum(series_size_MB) AS megabytes
        FROM dicom.series GROUP BY collection_id""",
    "a concept with all beneath it": f"""
        SELECT cancer_condition_code, count(DISTINCT patient_id) AS patients, count(*) AS conditions
        FROM eucaim.cancer_condition WHERE is_a(cancer_condition_code, '{THORAX}') GROUP BY 1""",
    "CT within 90 days of the first diagnosis, by year": """
        WITH dx AS (SELECT patient_id, min(cancer_condition_asserted_date) AS d FROM eucaim.cancer_condition
                    WHERE is_a(cancer_condition_code, 'ICD10:C50') OR is_a(cancer_condition_code, 'ICD10:C34')
                    GROUP BY patient_id)
        SELECT extract(year FROM dx.d) AS dx_year, count(DISTINCT dx.patient_id) AS patients
        FROM dx JOIN dicom.series s ON s.patient_id = dx.patient_id
        WHERE s.Modality = 'CT' AND s.StudyDate >= dx.d AND s.StudyDate <= dx.d + INTERVAL '90' DAY
        GROUP BY 1""",
    "median of a marker by year of diagnosis": """
        SELECT extract(year FROM c.cancer_condition_asserted_date) AS y,
               median(t.tumor_marker_test_as_number) AS middle, count(*) AS n
        FROM eucaim.cancer_condition c JOIN eucaim.tumor_marker_test t ON t.patient_id = c.patient_id
        WHERE is_a(c.cancer_condition_code, 'ICD10:C61') AND is_a(t.tumor_marker_test_code, 'LOINC:2857-1')
          AND t.tumor_marker_test_as_number IS NOT NULL
        GROUP BY 1""",
    "subtotals over modality and body part": """
        SELECT Modality, BodyPartExamined, count(*) AS series, count(DISTINCT patient_id) AS patients,
               sum(series_size_MB) AS megabytes
        FROM dicom.series GROUP BY ROLLUP (Modality, BodyPartExamined)""",
    "inclusion and exclusion": """
        SELECT p.patient_birth_sex, count(*) AS patients
        FROM eucaim.patient p
        WHERE EXISTS (SELECT 1 FROM eucaim.cancer_condition c
                      WHERE c.patient_id = p.patient_id AND is_a(c.cancer_condition_code, 'ICD10:C61'))
          AND EXISTS (SELECT 1 FROM dicom.series s
                      WHERE s.patient_id = p.patient_id AND s.Modality = 'MR' AND s.SliceThickness <= 1.25)
          AND NOT EXISTS (SELECT 1 FROM omop.death d WHERE d.patient_id = p.patient_id)
          AND NOT EXISTS (SELECT 1 FROM eucaim.cancer_condition o
                          WHERE o.patient_id = p.patient_id AND is_a(o.cancer_condition_code, 'ICD10:C22'))
        GROUP BY 1""",
    "last measurement before each diagnosis": """
        WITH r AS (
          SELECT c.person_id, m.value_as_number AS v,
                 row_number() OVER (PARTITION BY c.condition_occurrence_id
                                    ORDER BY m.measurement_date DESC, m.measurement_id) AS rn
          FROM omop.condition_occurrence c JOIN omop.measurement m ON m.person_id = c.person_id
          WHERE c.condition_source_value = 'C50' AND m.measurement_concept_id IN (3000001, 3000002)
            AND m.measurement_date <= c.condition_start_date)
        SELECT p.gender_concept_id, count(*) AS n, avg(r.v) AS average
        FROM r JOIN omop.person p ON p.person_id = r.person_id WHERE r.rn = 1 GROUP BY 1""",
    "a selective slice": """
        SELECT Manufacturer, count(*) AS series, count(DISTINCT patient_id) AS patients, sum(instanceCount) AS images
        FROM dicom.series
        WHERE collection_id = 'c17' AND BodyPartExamined = 'LIVER' AND Modality = 'CT' AND SliceThickness <= 1.25
        GROUP BY Manufacturer""",
    "two modalities in one quarter": """
        WITH q AS (
          SELECT patient_id, extract(year FROM StudyDate) AS y, extract(quarter FROM StudyDate) AS qtr,
                 max(CASE WHEN Modality = 'MR' THEN 1 ELSE 0 END) AS mr,
                 max(CASE WHEN Modality = 'PT' THEN 1 ELSE 0 END) AS pt
          FROM dicom.series WHERE Modality IN ('MR', 'PT') GROUP BY 1, 2, 3)
        SELECT y, qtr, count(*) AS patients FROM q WHERE mr = 1 AND pt = 1 GROUP BY y, qtr""",
}
