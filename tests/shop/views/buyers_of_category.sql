-- Who buys what: lists without an order of their own, and one that has it.
SELECT cat.id AS category_id, cat.name,
       string_agg(DISTINCT a.city, ', ') AS cities,
       array_agg(o.channel) AS channels,
       array_agg(DISTINCT c.id ORDER BY c.id) AS customers
FROM shop.categories AS cat
JOIN shop.products AS p ON p.category_id = cat.id
JOIN shop.order_items AS i ON i.product_id = p.id
JOIN shop.orders AS o ON o.id = i.order_id
JOIN shop.customers AS c ON c.id = o.customer_id
LEFT JOIN shop.addresses AS a ON a.customer_id = c.id AND a.kind = 'home'
GROUP BY cat.id
