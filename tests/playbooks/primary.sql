-- The primary that the examples under playbooks/ are about.
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE accounts (id bigint PRIMARY KEY, status text NOT NULL, balance bigint NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, placed timestamptz NOT NULL);
CREATE TABLE order_items (
    order_id bigint REFERENCES orders ON DELETE CASCADE, line int, article text NOT NULL, quantity int NOT NULL,
    price numeric(10, 2) NOT NULL, weight double precision,
    PRIMARY KEY (order_id, line)
);

INSERT INTO customers SELECT i, 'customer ' || i, CASE WHEN i % 3 > 0 THEN 'c' || i || '@mail.example' END
FROM generate_series(1, 50) AS i;
INSERT INTO accounts SELECT i, (ARRAY['open', 'frozen', 'closed'])[1 + i % 3], i * 10 FROM generate_series(1, 60) AS i;
INSERT INTO orders SELECT i, 1 + i * 7 % 45, TIMESTAMPTZ '2025-01-01 UTC' + i * INTERVAL '5 h 7 s' FROM generate_series(1, 200) AS i;
INSERT INTO order_items SELECT o, line, 'article ' || (o + line) % 9, 1 + (o * line) % 4, line * 3.35, o / 7.0
FROM generate_series(1, 200) AS o, generate_series(1, 4) AS line WHERE line <= o % 5;
