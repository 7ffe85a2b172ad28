-- One row an order. Grouped by two primary keys, which the other columns follow from.
SELECT o.id AS order_id, o.status, o.placed, o.ship_by, o.coupons, o.note, c.name AS customer, c.public_id,
       count(i.line) AS lines,
       coalesce(sum(i.quantity * i.price), 0) - o.discount AS total,
       max(i.price) FILTER (WHERE i.quantity > 1) AS dearest_of_many
FROM orders o
JOIN customers c ON c.id = o.customer_id
LEFT JOIN order_items i ON i.order_id = o.id
GROUP BY o.id, c.id
