-- Drugs of the treatment of cancer: those with a concept below the drugs of the hyperontology, by their own codes or,
-- where the OMOP vocabulary is there, by those of an ingredient or class above them, of which the nearest decides. What
-- else a hospital gives (painkillers, vaccines) is left out: whoever counts treated patients must not count it. It
-- stays in omop.drug_exposure.
WITH above AS (
    SELECT descendant_concept_id, min_levels_of_separation AS levels,
           concept('medication_administration.medication_code', 'OMOP', ancestor_concept_id,
                   ancestor.vocabulary_id, ancestor.concept_code) AS code
    FROM omop.concept_ancestor
    JOIN landing.concept AS ancestor ON ancestor.concept_id = concept_ancestor.ancestor_concept_id
    WHERE descendant_concept_id IN (SELECT drug_concept_id FROM omop.drug_exposure)
), listed AS (
    SELECT descendant_concept_id, first_value(code ORDER BY levels, code) AS code
    FROM above
    WHERE code IS NOT NULL
    GROUP BY descendant_concept_id
), exposure AS (
    SELECT exposure.*,
           standard.vocabulary_id AS standard_system, standard.concept_code AS standard_code,
           source.vocabulary_id AS source_system, source.concept_code AS source_code,
           coalesce(concept('medication_administration.medication_code', 'OMOP', exposure.drug_concept_id,
                            standard.vocabulary_id, standard.concept_code, source.vocabulary_id, source.concept_code),
                    listed.code) AS code,
           coalesce(exposure.drug_exposure_end_date, exposure.verbatim_end_date) AS last_day
    FROM omop.drug_exposure AS exposure
    LEFT JOIN landing.concept AS standard ON standard.concept_id = exposure.drug_concept_id
    LEFT JOIN landing.concept AS source ON source.concept_id = exposure.drug_source_concept_id
    LEFT JOIN listed ON listed.descendant_concept_id = exposure.drug_concept_id
)
SELECT _patient,
       _row,
       collection_id AS dataset_id,
       key_of(collection_id, 'drug', drug_exposure_id) AS treatment_id,
       code AS medication_code,
       original(standard_system, standard_code, 'OMOP', drug_concept_id,
                source_system, source_code, NULL, drug_source_value) AS medication_code_original,
       key_of(collection_id, 'drug', drug_exposure_id) AS medication_id,
       drug_exposure_start_date AS medication_start_date,
       last_day AS medication_end_date,
       days_between(drug_exposure_start_date, last_day) AS medication_effective_period,
       CASE WHEN drug_exposure_start_date IS NOT NULL AND last_day IS NOT NULL
            THEN 'd' END AS medication_effective_period_unit
FROM exposure
WHERE code IS NOT NULL
