-- Customers to write to: they have ordered, but not of late, and have never reviewed anything.
SELECT c.id AS customer_id, c.email, c.newsletter,
       (SELECT max(o.placed) FROM orders o WHERE o.customer_id = c.id) AS last_order
FROM customers c
WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)
  AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.placed >= timestamptz '2025-01-01 00:00:00+00')
  AND c.id IN (SELECT id FROM customers EXCEPT SELECT r.customer_id FROM reviews r)
