-- What is still to be paid. The playbook has this one as pg_get_viewdef prints it.
SELECT o.id AS order_id, o.status, o.customer_id,
       coalesce((SELECT sum(quantity * price) FROM order_items WHERE order_items.order_id = o.id), 0) - o.discount AS due,
       coalesce((SELECT sum(amount) FROM payments p WHERE p.order_id = o.id AND p.paid IS NOT NULL), 0.00) AS paid,
       (SELECT count(*) FROM payments p WHERE p.order_id = o.id AND p.details @> '{"part": 2}') AS second_parts,
       CASE
           WHEN o.status = 'cancelled' THEN 'refund'
           WHEN EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.id AND p.paid IS NULL) THEN 'waiting'
           ELSE 'none'
       END AS action,
       s.carrier, s.delivered - s.sent AS travelled,
       extract(epoch FROM date_trunc('day', o.placed AT TIME ZONE 'UTC'))::bigint AS day
FROM orders o
LEFT JOIN LATERAL (SELECT * FROM shipments WHERE shipments.order_id = o.id ORDER BY shipments.id DESC LIMIT 1) s ON true
