-- Every product, sold or not: a right join, a lateral one, and numbers of three kinds.
SELECT p.id AS product_id, p.sku, p.title, p.price, p.active, p.tags, p.added,
       sold.units, sold.revenue, sold.last_day,
       reviews.stars, reviews.said
FROM (
    SELECT i.product_id, sum(i.quantity) AS units, sum(i.quantity * i.price) AS revenue,
           max((o.placed AT TIME ZONE 'UTC')::date) AS last_day
    FROM shop.order_items AS i JOIN shop.orders AS o ON o.id = i.order_id AND o.status IN ('paid', 'shipped', 'done')
    GROUP BY i.product_id
) AS sold
RIGHT JOIN shop.products AS p ON p.id = sold.product_id
LEFT JOIN LATERAL (
    SELECT avg(r.stars) AS stars, count(r.body) AS said FROM shop.reviews AS r WHERE r.product_id = p.id
) AS reviews ON true
