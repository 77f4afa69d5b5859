-- Find a concept by its words, and count what lies beneath it.
SELECT concept.concept_code, concept.label, count(*) AS beneath
FROM catalog.concept AS concept
JOIN catalog.concept_ancestor AS below ON below.ancestor_code = concept.concept_code
WHERE concept.label ILIKE '%malignant neoplasm of prostate%'
GROUP BY concept.concept_code, concept.label
ORDER BY beneath DESC
