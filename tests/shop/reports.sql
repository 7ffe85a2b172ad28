-- The read side: one table a report, as those who read it want it.
CREATE SCHEMA reports;
SET search_path = reports;

CREATE TABLE order_summary (
    order_id bigint PRIMARY KEY, status varchar(16) NOT NULL, placed timestamptz NOT NULL, ship_by date, coupons text[], note text,
    customer text NOT NULL, public_id uuid NOT NULL, lines bigint NOT NULL, total numeric(14, 2) NOT NULL,
    dearest_of_many numeric(12, 2)
);
CREATE INDEX order_summary_placed ON order_summary (placed DESC, order_id);
COMMENT ON TABLE order_summary IS 'one row an order';

CREATE TABLE customer_value (
    customer_id bigint PRIMARY KEY, name text NOT NULL, email varchar(120), registered timestamptz, birthday date,
    orders bigint NOT NULL, total numeric(14, 2) NOT NULL, span interval NOT NULL, average numeric NOT NULL,
    place bigint NOT NULL, place_of_month bigint NOT NULL, class text NOT NULL
);
CREATE INDEX customer_value_place ON customer_value (place);

CREATE TABLE category_tree (
    category_id int PRIMARY KEY, name varchar(60) NOT NULL, depth int NOT NULL, path int[] NOT NULL, title text NOT NULL,
    products bigint NOT NULL, cheapest numeric(12, 2), all_active boolean NOT NULL
);

CREATE TABLE product_sales (
    product_id bigint PRIMARY KEY, sku varchar(24) NOT NULL UNIQUE, title text NOT NULL, price numeric(12, 2) NOT NULL,
    active boolean NOT NULL, tags text[] NOT NULL, added date NOT NULL, units bigint, revenue numeric(14, 2), last_day date,
    stars numeric, said bigint NOT NULL
);

CREATE TABLE monthly_revenue (
    month date, channel text, orders bigint NOT NULL, cancelled bigint NOT NULL, revenue numeric NOT NULL,
    month_before numeric, running numeric NOT NULL, percent_of_month numeric(6, 2),
    PRIMARY KEY (month, channel)
);

CREATE TABLE latest_orders (
    customer_id bigint PRIMARY KEY, order_id bigint NOT NULL, placed timestamptz NOT NULL, status varchar(16) NOT NULL,
    channel text NOT NULL, dearest_product bigint, dearest_price numeric(12, 2)
);

CREATE TABLE order_documents (order_id bigint PRIMARY KEY, document jsonb NOT NULL, skus varchar(24)[]);
CREATE INDEX order_documents_document ON order_documents USING gin (document jsonb_path_ops);

CREATE TABLE supplier_scores (
    supplier_id int PRIMARY KEY, name text NOT NULL, country char(2) NOT NULL, rating double precision, mail text,
    products bigint NOT NULL, average_weight double precision, stock_weight double precision, last_counted timestamp
);

CREATE TABLE buyers_of_category (
    category_id int PRIMARY KEY, name varchar(60) NOT NULL, cities text, channels text[] NOT NULL, customers bigint[] NOT NULL
);

CREATE TABLE silent_customers (customer_id bigint PRIMARY KEY, email varchar(120), newsletter boolean, last_order timestamptz);

CREATE TABLE contacts (
    kind text, id bigint, name text NOT NULL, mail text, city text, details jsonb NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE open_balances (
    order_id bigint PRIMARY KEY, status varchar(16) NOT NULL, customer_id bigint NOT NULL, due numeric NOT NULL,
    paid numeric NOT NULL, second_parts bigint NOT NULL, action text NOT NULL, carrier text, travelled interval, day bigint NOT NULL
);
