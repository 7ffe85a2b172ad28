-- The read tables that the examples under playbooks/ are about.
CREATE SCHEMA read;
CREATE TABLE read.customers (customer_id bigint PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE read.open_accounts (account_id bigint PRIMARY KEY, balance bigint NOT NULL, applied_offset bigint, note text);
CREATE TABLE read.order_summary (
    order_id bigint PRIMARY KEY, placed timestamptz NOT NULL, customer text NOT NULL, items bigint NOT NULL,
    total numeric NOT NULL, average_weight double precision, repeated text[]
);
CREATE TABLE read.customer_totals (
    customer_id bigint PRIMARY KEY, name text NOT NULL, orders bigint NOT NULL, total numeric NOT NULL, place bigint NOT NULL
);
CREATE TABLE read.customer_orders (
    customer_id bigint, nth bigint, order_id bigint NOT NULL, placed timestamptz NOT NULL, items jsonb NOT NULL,
    PRIMARY KEY (customer_id, nth)
);
CREATE TABLE read.order_book (
    order_id bigint PRIMARY KEY, customer_id bigint NOT NULL, state text NOT NULL, placed timestamptz NOT NULL, lines bigint NOT NULL,
    total numeric(12, 2) NOT NULL, applied_offset bigint, memo text
);
