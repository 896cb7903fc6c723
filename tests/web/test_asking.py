"""What an address asks for: windows, filters as conditions, and addresses of the same page in another state."""

from __future__ import annotations

from datetime import date, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from prodsense.errors import UsageError
from prodsense.metrics.filters import read_filter
from prodsense.web.asking import FILTER, Asked, condition, preset, text_of

#: A Wednesday.
DAY = date(2024, 5, 15)


@pytest.mark.parametrize(
    ("name", "first", "end"),
    [
        ("7d", "2024-05-09", "2024-05-16"),
        ("28d", "2024-04-18", "2024-05-16"),
        ("month", "2024-05-01", "2024-05-16"),
        ("last_month", "2024-04-01", "2024-05-01"),
        ("quarter", "2024-04-01", "2024-05-16"),
        ("year", "2024-01-01", "2024-05-16"),
    ],
)
def test_presets_look_back_from_the_newest_day(name: str, first: str, end: str) -> None:
    assert preset(name, DAY) == (date.fromisoformat(first), date.fromisoformat(end))


def test_last_month_of_january_is_december() -> None:
    assert preset("last_month", date(2024, 1, 31)) == (date(2023, 12, 1), date(2024, 1, 1))


def test_days_of_a_form_are_both_inside() -> None:
    asked = Asked.read(QueryParams("since=2024-02-01&until=2024-02-29&range=7d"))
    assert asked.window(datetime(2024, 5, 15, 8)) == {"since": "2024-02-01", "until": "2024-03-01"}
    assert asked.range == ""  # days say it more exactly than a preset
    assert Asked.read(QueryParams("range=7d")).window(None) == {}
    assert Asked.read(QueryParams("")).window(datetime(2024, 5, 15)) == {}


@pytest.mark.parametrize("query", ["range=9d", "grain=hour", "compare=tomorrow", "since=yesterday", "until=2024-02-30"])
def test_what_cannot_be_asked_is_refused(query: str) -> None:
    with pytest.raises(UsageError):
        Asked.read(QueryParams(query))


def test_a_condition_knows_the_types_of_values() -> None:
    values = {"hot": [True, False], "hour": [9, 10], "city": ["Rome", "O'Hare"], "day": [date(2024, 5, 1)], "tier": [None, "a"]}
    assert condition({"hot": ("true",)}, values) == "(hot = TRUE)"
    assert condition({"hour": ("9", "10")}, values) == "(hour = 9 OR hour = 10)"
    assert condition({"city": ("O'Hare",), "tier": ("(none)",)}, values) == "(city = 'O''Hare') AND (tier IS NULL)"
    assert condition({"day": ("2024-05-01",)}, values) == "(day = '2024-05-01')"
    assert condition({"city": ("unheard of",)}, values) == "(city = 'unheard of')"
    assert condition({}, values) is None


def test_text_that_looks_like_a_type_stays_text() -> None:
    assert condition({"code": ("true",)}, {"code": ["true", "false"]}) == "(code = 'true')"
    assert condition({"code": ("7",)}, {"code": ["7"]}) == "(code = '7')"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_no_value_breaks_out_of_its_condition(value: str) -> None:
    from sqlglot import exp

    text = condition({"city": (value,)}, {})
    assert text is not None
    if value == "(none)":
        return
    tree = read_filter(text).unnest()
    assert isinstance(tree, exp.EQ) and tree.expression.name == value


def test_a_dimension_is_a_name() -> None:
    with pytest.raises(UsageError):
        condition({"city = 1 OR 1": ("x",)}, {})


@given(
    st.dictionaries(st.sampled_from(["city", "hour"]), st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3, unique=True)),
    st.sampled_from(["", "7d", "year"]), st.lists(st.sampled_from(["city", "hour"]), unique=True),
)  # fmt: skip
def test_an_address_holds_all_of_the_state(filters: dict[str, list[str]], preset: str, by: list[str]) -> None:
    asked = Asked(range=preset, by=tuple(by), filters={k: tuple(v) for k, v in filters.items()})
    query = QueryParams(parse_qsl(urlsplit(asked.address("/explore/x")).query))
    assert Asked.read(query) == asked


def test_filters_are_set_and_taken_away() -> None:
    asked = Asked(filters={"city": ("Rome", "Milan")})
    assert asked.with_filter("city", "Turin") == {"city": ("Turin",)}
    assert asked.with_filter("hot", True) == {"city": ("Rome", "Milan"), "hot": ("true",)}
    assert asked.without("city", "Rome") == {"city": ("Milan",)}
    assert asked.without("city") == {}
    assert FILTER + "city=Rome" in asked.address("/x").replace("%3D", "=")


def test_values_as_text() -> None:
    assert [text_of(v) for v in (None, True, 3, date(2024, 5, 1), "x")] == ["(none)", "true", "3", "2024-05-01", "x"]
