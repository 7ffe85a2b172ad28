-- One list of everybody who has an address, of both kinds.
SELECT 'customer' AS kind, c.id, c.name, c.email AS mail, a.city, c.preferences AS details
FROM shop.customers c JOIN shop.addresses a ON a.customer_id = c.id AND a.kind = coalesce(
    (SELECT b.kind FROM shop.addresses b WHERE b.customer_id = c.id AND b.kind = 'billing'), 'home')
WHERE c.email IS NOT NULL
UNION ALL
SELECT 'supplier', s.id, s.name, s.contact ->> 'mail', NULL, s.contact - 'mail'
FROM shop.suppliers s
WHERE s.active
