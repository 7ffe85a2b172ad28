-- Sums and averages of floating-point numbers: their last digits depend on the order of the rows, which nobody promises.
SELECT s.id AS supplier_id, s.name, s.country, s.rating, s.contact ->> 'mail' AS mail,
       count(*) FILTER (WHERE p.active) AS products,
       avg(p.weight) AS average_weight,
       sum(p.weight * coalesce(st.quantity, 0)) AS stock_weight,
       max(st.counted) AS last_counted
FROM suppliers s
LEFT JOIN products p ON p.supplier_id = s.id
LEFT JOIN stock st ON st.product_id = p.id
GROUP BY s.id
