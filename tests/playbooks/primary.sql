-- The primary that the examples under playbooks/ are about.
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE accounts (id bigint PRIMARY KEY, status text NOT NULL, balance bigint NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, placed timestamptz NOT NULL);
CREATE TABLE order_items (
    order_id bigint REFERENCES orders ON DELETE CASCADE, line int, article text NOT NULL, quantity int NOT NULL,
    price numeric(10, 2) NOT NULL, weight double precision,
    PRIMARY KEY (order_id, line)
);

-- What happens to orders is also written into an outbox, in the transaction that does it.
CREATE TABLE outbox (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text NOT NULL, aggregateid text NOT NULL, type text NOT NULL, payload jsonb
);
CREATE FUNCTION happened(order_id bigint, event text, data jsonb) RETURNS void LANGUAGE sql AS
    'INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES (''order'', order_id::text, event, data)';
CREATE FUNCTION order_happened() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM happened(OLD.id, 'OrderCancelled', '{}');
    ELSE
        PERFORM happened(NEW.id, 'OrderPlaced', jsonb_build_object('customer', jsonb_build_object('id', NEW.customer_id), 'placed', NEW.placed));
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION line_happened() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    -- Nothing happens to a line after its order is gone.
    IF TG_OP <> 'INSERT' AND EXISTS (SELECT FROM orders WHERE id = OLD.order_id) THEN
        PERFORM happened(OLD.order_id, 'LineRemoved', jsonb_build_object('line', OLD.line, 'amount', OLD.quantity * OLD.price));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM happened(NEW.order_id, 'LineAdded', jsonb_build_object('line', NEW.line, 'amount', NEW.quantity * NEW.price));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER happened AFTER INSERT OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION order_happened();
CREATE TRIGGER happened AFTER INSERT OR UPDATE OR DELETE ON order_items FOR EACH ROW EXECUTE FUNCTION line_happened();

INSERT INTO customers SELECT i, 'customer ' || i, CASE WHEN i % 3 > 0 THEN 'c' || i || '@mail.example' END
FROM generate_series(1, 50) AS i;
INSERT INTO accounts SELECT i, (ARRAY['open', 'frozen', 'closed'])[1 + i % 3], i * 10 FROM generate_series(1, 60) AS i;
INSERT INTO orders SELECT i, 1 + i * 7 % 45, TIMESTAMPTZ '2025-01-01 UTC' + i * INTERVAL '5 h 7 s' FROM generate_series(1, 200) AS i;
INSERT INTO order_items SELECT o, line, 'article ' || (o + line) % 9, 1 + (o * line) % 4, line * 3.35, o / 7.0
FROM generate_series(1, 200) AS o, generate_series(1, 4) AS line WHERE line <= o % 5;
