-- The datasets of a node: the collections that its sources were ingested into.
SELECT collection_id AS dataset_id
FROM landing.collection
