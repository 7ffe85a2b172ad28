-- Each customer's newest order, with the dearest of its lines.
SELECT DISTINCT ON (o.customer_id) o.customer_id, o.id AS order_id, o.placed, o.status, o.channel,
       top.product_id AS dearest_product, top.price AS dearest_price
FROM orders o
LEFT JOIN LATERAL (
    SELECT i.product_id, i.price FROM order_items i WHERE i.order_id = o.id ORDER BY i.price DESC, i.line LIMIT 1
) AS top ON true
ORDER BY o.customer_id, o.placed DESC, o.id DESC
