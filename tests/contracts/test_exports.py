"""Contracts for other tools: every line of the ER diagram and of the JSON Schema, by hand."""

from __future__ import annotations

from prodsense.contracts.exports import er_diagram, event_schema, json_schema
from prodsense.contracts.tables import read_schema
from prodsense.contracts.vocabulary import Event, Field

SHOP = """
-- People.
CREATE TABLE people (
    id BIGINT PRIMARY KEY,                          -- The person.
    email VARCHAR(80) UNIQUE,                       -- Called "address" too.
    boss BIGINT REFERENCES people (id)
);
-- Passports.
CREATE TABLE passports (
    person BIGINT PRIMARY KEY REFERENCES people (id),
    level TEXT NOT NULL CHECK (level IN ('a', 'b')),
    points INT DEFAULT 1 CHECK (points BETWEEN -5 AND 5),
    share DECIMAL(5, 4) NOT NULL CHECK (share >= 0 AND share < 1.5), -- How much. [share]
    day DATE NOT NULL,
    at TIMESTAMP,
    tags VARCHAR[],
    raw JSON,
    hot BOOLEAN NOT NULL,
    country INT REFERENCES world.countries (id),
    CHECK (points > 0 OR hot),
    CHECK (LENGTH(level) > 0)
);
"""


def test_er_diagram() -> None:
    assert er_diagram(read_schema(SHOP, "shop")) == """erDiagram
    people |o--o{ people : boss
    people ||--o| passports : person
    "world.countries" |o--o{ passports : country
    people {
        BIGINT id PK "The person."
        VARCHAR email UK "Called 'address' too."
        BIGINT boss FK
    }
    passports {
        BIGINT person PK, FK
        VARCHAR level
        INTEGER points
        DECIMAL_5_4 share "How much. [share]"
        DATE day
        TIMESTAMP at
        VARCHAR[] tags
        JSON raw
        BOOLEAN hot
        INTEGER country FK
    }
"""


def test_json_schema_of_a_row() -> None:
    assert json_schema(read_schema(SHOP, "shop")["passports"]) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "shop.passports",
        "description": "Passports.",
        "type": "object",
        "properties": {
            "person": {"type": "integer"},
            "level": {"type": "string", "enum": ["a", "b"]},
            # NULL takes the default, so a file may bring it.
            "points": {"type": ["integer", "null"], "minimum": -5, "maximum": 5},
            "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1.5, "description": "How much. [share]"},
            "day": {"type": "string", "format": "date"},
            "at": {"type": ["string", "null"], "format": "date-time"},
            "tags": {"type": ["array", "null"], "items": {"type": "string"}},
            "raw": {},
            "hot": {"type": "boolean"},
            "country": {"type": ["integer", "null"]},
        },
        "required": ["person", "level", "share", "day", "hot"],
    }


def test_a_nullable_enumeration_admits_null_and_texts_keep_their_length() -> None:
    table = read_schema("CREATE TABLE t (a VARCHAR(3) CHECK (a IN ('x', 'y')))", "shop")["t"]
    assert json_schema(table)["properties"]["a"] == {
        "type": ["string", "null"], "maxLength": 3, "enum": ["x", "y", None],
    }


def test_json_schema_of_an_event() -> None:
    event = Event(
        "play", "Somebody plays.",
        (Field("user_id", "BIGINT", required=True, says="Who."), Field("seconds", "DOUBLE", says="How long.", unit="s")),
        version=2,
    )
    assert event_schema(event, "streaming") == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "streaming.play v2",
        "description": "Somebody plays.",
        "type": "object",
        "properties": {
            "event": {"const": "play"},
            "version": {"const": 2},
            "user_id": {"type": "integer", "description": "Who."},
            "seconds": {"type": ["number", "null"], "description": "How long. [s]"},
        },
        "required": ["event", "version", "user_id"],
    }
