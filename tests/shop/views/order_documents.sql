-- The whole order as one document, as a search index would take it.
SELECT o.id AS order_id,
       jsonb_build_object(
           'status', o.status, 'placed', o.placed, 'coupons', o.coupons, 'note', o.note,
           'customer', jsonb_build_object('name', c.name, 'language', c.preferences ->> 'language', 'newsletter', c.newsletter),
           'ship to', (SELECT a.city FROM shop.addresses AS a WHERE a.customer_id = c.id AND a.kind = 'home'),
           'items', coalesce(lines.items, '[]'::jsonb)
       ) AS document,
       lines.skus
FROM shop.orders AS o
JOIN shop.customers AS c ON c.id = o.customer_id
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('line', i.line, 'sku', p.sku, 'quantity', i.quantity, 'price', i.price,
                                        'colour', p.attributes -> 'colour') ORDER BY i.line) AS items,
           array_agg(p.sku ORDER BY p.sku DESC, i.line) AS skus
    FROM shop.order_items AS i JOIN shop.products AS p ON p.id = i.product_id
    WHERE i.order_id = o.id
) AS lines ON true
