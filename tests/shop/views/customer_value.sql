-- What each customer is worth, and the place that gives them: common table expressions, a HAVING and a rank.
WITH spent AS (
    SELECT o.customer_id, o.id, o.placed, sum(i.quantity * i.price) - o.discount AS total
    FROM shop.orders AS o JOIN shop.order_items AS i ON i.order_id = o.id
    WHERE o.status <> 'cancelled'
    GROUP BY o.id
), value AS (
    SELECT customer_id, count(*) AS orders, sum(total) AS total, min(placed) AS first_order, max(placed) AS last_order
    FROM spent
    GROUP BY customer_id
    HAVING sum(total) > 0
)
SELECT c.id AS customer_id, c.name, c.email, c.registered, c.birthday, value.orders, value.total,
       value.last_order - value.first_order AS span,
       round(value.total / value.orders, 4) AS average,
       rank() OVER (ORDER BY value.total DESC) AS place,
       row_number() OVER (PARTITION BY date_trunc('month', c.registered) ORDER BY value.total DESC, c.id) AS place_of_month,
       CASE WHEN value.total >= 2000 THEN 'gold' WHEN value.total >= 500 THEN 'silver' ELSE 'paper' END AS class
FROM value JOIN shop.customers AS c ON c.id = value.customer_id
