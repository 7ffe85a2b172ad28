-- Every category with its path from the root and what it holds, itself and below: two recursive walks of one tree.
WITH RECURSIVE tree AS (
    SELECT id, parent_id, name, 0 AS depth, ARRAY[id] AS path, name::text AS title
    FROM categories
    WHERE parent_id IS NULL
    UNION ALL
    SELECT c.id, c.parent_id, c.name, tree.depth + 1, tree.path || c.id, tree.title || ' > ' || c.name
    FROM categories c JOIN tree ON c.parent_id = tree.id
), below AS (
    SELECT id AS above, id FROM categories
    UNION
    SELECT below.above, c.id FROM below JOIN categories c ON c.parent_id = below.id
)
SELECT tree.id AS category_id, tree.name, tree.depth, tree.path, tree.title,
       count(p.id) AS products, min(p.price) AS cheapest, coalesce(bool_and(p.active), false) AS all_active
FROM tree JOIN below ON below.above = tree.id LEFT JOIN products p ON p.category_id = below.id
GROUP BY tree.id, tree.name, tree.depth, tree.path, tree.title
