"""A small contract with every kind of rule."""

from __future__ import annotations

from prodsense.contracts.tables import Table, read_schema

SCHEMA = """
-- People and whom they report to.
CREATE TABLE dim_people (
    person_id BIGINT PRIMARY KEY,
    name VARCHAR(8) NOT NULL,
    boss_id BIGINT REFERENCES dim_people(person_id),
    email VARCHAR UNIQUE
);
-- Orders.
-- partition: day
CREATE TABLE fact_orders (
    order_id BIGINT PRIMARY KEY,
    person_id BIGINT REFERENCES dim_people(person_id),
    day DATE NOT NULL,
    at TIMESTAMP,
    amount DECIMAL(8,2) CHECK (amount >= 0),
    n INTEGER,
    score DOUBLE,
    status VARCHAR NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'done')),
    ok BOOLEAN,
    note VARCHAR(5) DEFAULT 'none'
);
-- Lines of orders.
CREATE TABLE fact_order_lines (
    order_id BIGINT REFERENCES fact_orders(order_id),
    line INTEGER,
    product VARCHAR NOT NULL,
    PRIMARY KEY (order_id, line)
);
-- Events without a key.
CREATE TABLE events (at TIMESTAMP NOT NULL, name VARCHAR);
"""

TABLES: dict[str, Table] = {t.relation: t for t in read_schema(SCHEMA, "shop").values()}
