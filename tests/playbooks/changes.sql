-- What the log has beyond the first rows.
UPDATE customers SET name = name || ' & sons', email = NULL WHERE id % 10 = 0;
DELETE FROM customers WHERE id = 50;
UPDATE accounts SET status = CASE status WHEN 'closed' THEN 'open' ELSE 'closed' END, balance = balance + 1 WHERE id % 7 = 0;
DELETE FROM orders WHERE id % 20 = 3;
UPDATE order_items SET quantity = quantity + 1 WHERE line = 2;
INSERT INTO orders VALUES (1000, 49, '2025-06-01 12:00:00+02');
INSERT INTO order_items VALUES (1000, 1, 'article ü', 2, 9.99, NULL), (1000, 2, 'article "x"', 1, 0.01, 1e-7);
