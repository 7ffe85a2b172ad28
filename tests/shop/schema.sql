-- The primary of a shop. All that Debezium carries in bare JSON is here, as a shop would have it.
CREATE SCHEMA shop;
SET search_path = shop;

-- A tree: a parent always has the smaller number, so that no moment of the log, however it is cut, holds a circle.
CREATE TABLE categories (
    id        int PRIMARY KEY,
    parent_id int REFERENCES categories CHECK (parent_id < id),
    name      varchar(60) NOT NULL,
    rank      smallint NOT NULL DEFAULT 0
);

CREATE TABLE suppliers (
    id      int PRIMARY KEY,
    name    text NOT NULL,
    country char(2) NOT NULL,
    rating  double precision,
    contact jsonb NOT NULL DEFAULT '{}',
    active  boolean NOT NULL DEFAULT true
);

CREATE TABLE products (
    id          bigint PRIMARY KEY,
    category_id int REFERENCES categories,
    supplier_id int NOT NULL REFERENCES suppliers,
    sku         varchar(24) NOT NULL UNIQUE,
    title       text NOT NULL,
    price       numeric(12, 2) NOT NULL,
    weight      double precision,
    tags        text[] NOT NULL DEFAULT '{}',
    attributes  jsonb,
    active      boolean NOT NULL DEFAULT true,
    added       date NOT NULL
);

CREATE TABLE stock (
    product_id bigint REFERENCES products ON DELETE CASCADE,
    warehouse  smallint,
    quantity   int NOT NULL,
    reserved   int NOT NULL DEFAULT 0,
    counted    timestamp,
    PRIMARY KEY (product_id, warehouse)
);

CREATE TABLE customers (
    id          bigint PRIMARY KEY,
    public_id   uuid NOT NULL UNIQUE,
    email       varchar(120),
    name        text NOT NULL,
    registered  timestamptz NOT NULL,
    birthday    date,
    newsletter  boolean,
    preferences jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE addresses (
    customer_id bigint REFERENCES customers ON UPDATE CASCADE ON DELETE CASCADE,
    kind        varchar(12),
    street      text NOT NULL,
    city        text NOT NULL,
    postcode    varchar(12),
    PRIMARY KEY (customer_id, kind)
);

-- Some notes are long enough to be stored out of line: an update that leaves such a one alone does not carry it.
CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers ON UPDATE CASCADE ON DELETE CASCADE,
    status      varchar(16) NOT NULL,
    placed      timestamptz NOT NULL,
    ship_by     date,
    discount    numeric(12, 2) NOT NULL DEFAULT 0,
    channel     text NOT NULL,
    coupons     text[],
    note        text
);
ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
CREATE INDEX orders_customer ON orders (customer_id);

CREATE TABLE order_items (
    order_id   bigint REFERENCES orders ON UPDATE CASCADE ON DELETE CASCADE,
    line       smallint,
    product_id bigint NOT NULL REFERENCES products,
    quantity   int NOT NULL,
    price      numeric(12, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
);
CREATE INDEX order_items_product ON order_items (product_id);

CREATE TABLE payments (
    id       uuid PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders ON UPDATE CASCADE ON DELETE CASCADE,
    amount   numeric(12, 2) NOT NULL,
    method   varchar(16) NOT NULL,
    paid     timestamptz,
    details  jsonb
);
CREATE INDEX payments_order ON payments (order_id);

CREATE TABLE shipments (
    id        bigint PRIMARY KEY,
    order_id  bigint NOT NULL REFERENCES orders ON UPDATE CASCADE ON DELETE CASCADE,
    carrier   text NOT NULL,
    weight    double precision NOT NULL,
    sent      timestamp NOT NULL,
    delivered timestamp
);
CREATE INDEX shipments_order ON shipments (order_id);

CREATE TABLE reviews (
    product_id  bigint REFERENCES products ON DELETE CASCADE,
    customer_id bigint REFERENCES customers ON UPDATE CASCADE ON DELETE CASCADE,
    stars       smallint NOT NULL,
    body        text,
    written     timestamp NOT NULL,
    PRIMARY KEY (product_id, customer_id)
);
CREATE INDEX reviews_customer ON reviews (customer_id);
