-- A shop with :orders orders and all that belongs to them, the same for the same :seed. No order's items have their own
-- insertion order, and no amount is a round one: what adds up by chance proves nothing.
SET search_path = shop;
SET TimeZone = 'UTC';

-- A number from 0 to `below` - 1 that follows from a row's number and a word.
CREATE FUNCTION pg_temp.pick(row_number bigint, word text, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT mod(hashtextextended(word || row_number, current_setting('shop.seed')::bigint) & 9223372036854775807, below) $$;
SET shop.seed = :seed;

CREATE TEMP TABLE size AS SELECT
    :orders::bigint AS orders, greatest(:orders / 4, 20) AS customers, least(greatest(:orders / 20, 20), 2000) AS products,
    least(greatest(:orders / 100, 8), 60) AS suppliers, least(greatest(:orders / 50, 12), 120) AS categories;

INSERT INTO categories SELECT i,
    CASE WHEN i > 4 THEN 1 + pg_temp.pick(i, 'parent', i - 1) END,
    'category ' || i, pg_temp.pick(i, 'rank', 10)
FROM size, generate_series(1, categories) AS i;

INSERT INTO suppliers SELECT i, 'supplier ' || i,
    (ARRAY['CH', 'DE', 'FR', 'IT'])[1 + pg_temp.pick(i, 'country', 4)],
    CASE WHEN i % 7 > 0 THEN pg_temp.pick(i, 'rating', 500) / 97.0 END,
    jsonb_build_object('mail', 'sales@supplier-' || i || '.example', 'phones', jsonb_build_array(pg_temp.pick(i, 'phone', 1000000))),
    i % 5 > 0
FROM size, generate_series(1, suppliers) AS i;

INSERT INTO products SELECT i,
    CASE WHEN i % 11 > 0 THEN 1 + pg_temp.pick(i, 'category', categories) END,
    1 + pg_temp.pick(i, 'supplier', suppliers), 'SKU-' || to_char(i, 'FM00000'), 'Product № ' || i,
    (1 + pg_temp.pick(i, 'price', 30000)) / 100.0,
    CASE WHEN i % 6 > 0 THEN pg_temp.pick(i, 'weight', 10000) / 777.0 END,
    (ARRAY['new', 'sale', 'organic', 'with "quotes"', 'été'])[1 : pg_temp.pick(i, 'tags', 6)],
    CASE WHEN i % 4 > 0 THEN jsonb_build_object('colour', (ARRAY['red', 'green', 'blue'])[1 + pg_temp.pick(i, 'colour', 3)],
                                                'sizes', jsonb_build_array(i % 5, i % 3), 'depth', i / 8.0) END,
    i % 9 > 0, DATE '2023-01-01' + pg_temp.pick(i, 'added', 700)::int
FROM size, generate_series(1, products) AS i;

INSERT INTO stock SELECT i, w, pg_temp.pick(i * 3 + w, 'quantity', 90), pg_temp.pick(i * 3 + w, 'reserved', 20),
    CASE WHEN w < 3 THEN TIMESTAMP '2024-06-01' + pg_temp.pick(i, 'counted', 10000000) * INTERVAL '1.000001 s' END
FROM size, generate_series(1, products) AS i, generate_series(1, 3) AS w
WHERE pg_temp.pick(i * 3 + w, 'stocked', 4) > 0;

INSERT INTO customers SELECT i, md5('customer ' || i)::uuid,
    CASE WHEN i % 8 > 0 THEN 'c' || i || '@mail.example' END,
    (ARRAY['Ada', 'Björn', 'Chloé', '达明', 'O''Neil'])[1 + i % 5] || ' ' || i,
    TIMESTAMPTZ '2022-03-01 UTC' + pg_temp.pick(i, 'registered', 80000000) * INTERVAL '1.000001 s',
    CASE WHEN i % 3 > 0 THEN DATE '1950-01-01' + pg_temp.pick(i, 'birthday', 20000)::int END,
    CASE pg_temp.pick(i, 'newsletter', 3) WHEN 0 THEN true WHEN 1 THEN false END,
    jsonb_build_object('language', (ARRAY['de', 'fr', 'en'])[1 + pg_temp.pick(i, 'language', 3)])
FROM size, generate_series(1, customers) AS i;

INSERT INTO addresses SELECT i, kind, 'Street ' || i, (ARRAY['Bern', 'Zürich', 'Genève', 'Lugano', 'Chur'])[1 + pg_temp.pick(i, kind, 5)],
    CASE WHEN i % 4 > 0 THEN (1000 + pg_temp.pick(i, 'postcode', 8999))::text END
FROM size, generate_series(1, customers) AS i, unnest(ARRAY['home', 'billing']) AS kind
WHERE kind = 'home' OR i % 3 = 0;

INSERT INTO orders SELECT i, 1 + pg_temp.pick(i, 'customer', customers - customers / 5),
    (ARRAY['new', 'paid', 'shipped', 'done', 'cancelled'])[1 + pg_temp.pick(i, 'status', 5)],
    TIMESTAMPTZ '2024-01-01 UTC' + pg_temp.pick(i, 'placed', 40000000) * INTERVAL '1.000001 s',
    CASE WHEN i % 5 > 0 THEN DATE '2024-01-05' + pg_temp.pick(i, 'ship_by', 460)::int END,
    CASE WHEN i % 6 = 0 THEN pg_temp.pick(i, 'discount', 900) / 100.0 ELSE 0 END,
    (ARRAY['web', 'shop', 'phone'])[1 + pg_temp.pick(i, 'channel', 3)],
    CASE WHEN i % 3 = 0 THEN (ARRAY['SPRING', 'FRIEND', 'VIP'])[1 : pg_temp.pick(i, 'coupons', 4)] END,
    CASE WHEN i % 40 = 0 THEN (SELECT string_agg(md5(i || ' ' || n), ' ') FROM generate_series(1, 90) AS n)
         WHEN i % 4 = 0 THEN E'please ring\ttwice,\n' || i END
FROM size, generate_series(1, orders) AS i;

INSERT INTO order_items SELECT i, line, p.id, 1 + pg_temp.pick(i * 7 + line, 'quantity', 6), p.price + (line - 2) * 0.05
FROM size, generate_series(1, orders) AS i, generate_series(1, 5) AS line,
     LATERAL (SELECT id, price FROM products WHERE id = 1 + pg_temp.pick(i * 7 + line, 'product', products * 9 / 10)) AS p
WHERE line <= pg_temp.pick(i, 'lines', 6);

INSERT INTO payments SELECT md5('payment ' || o.id || n)::uuid, o.id, (100 + pg_temp.pick(o.id * 2 + n, 'amount', 40000)) / 100.0,
    (ARRAY['card', 'invoice', 'voucher'])[1 + pg_temp.pick(o.id * 2 + n, 'method', 3)],
    CASE WHEN o.id % 5 > 0 THEN o.placed + n * INTERVAL '7 h' END,
    CASE WHEN n = 2 THEN jsonb_build_object('part', n, 'of', 2) END
FROM orders AS o, generate_series(1, 2) AS n
WHERE o.status <> 'new' AND n <= 1 + pg_temp.pick(o.id, 'payments', 2);

INSERT INTO shipments SELECT o.id * 2, o.id, (ARRAY['Post', 'Courier', 'Pick-up'])[1 + pg_temp.pick(o.id, 'carrier', 3)],
    pg_temp.pick(o.id, 'weight', 90000) / 331.0, o.placed AT TIME ZONE 'UTC' + INTERVAL '1 day 3 min',
    CASE WHEN o.status = 'done' THEN o.placed AT TIME ZONE 'UTC' + (1 + pg_temp.pick(o.id, 'days', 9)) * INTERVAL '1 day' END
FROM orders AS o WHERE o.status IN ('shipped', 'done');

INSERT INTO reviews SELECT 1 + pg_temp.pick(i, 'reviewed', products), 1 + pg_temp.pick(i, 'reviewer', customers),
    1 + pg_temp.pick(i, 'stars', 5), CASE WHEN i % 3 > 0 THEN 'review ' || i END,
    TIMESTAMP '2024-02-01' + pg_temp.pick(i, 'written', 30000000) * INTERVAL '1.000001 s'
FROM size, generate_series(1, orders / 3) AS i
ON CONFLICT DO NOTHING;
