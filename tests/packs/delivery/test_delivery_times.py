"""Delivery times out of driver actions: the worked example, and each way in which actions can be wrong."""

from __future__ import annotations

import copy
import doctest
import json
from pathlib import Path
from typing import Any

import pytest

from prodsense.errors import UsageError
from prodsense.packs.delivery import delivery_times
from prodsense.packs.delivery.delivery_times import (
    DeliveryActionError,
    calculate_delivery_times,
    format_delivery_times,
)
from prodsense.warehouse import Warehouse

# A to B 10, B to C 7, C to A 20; the way back differs.
MATRIX = [[0, 10, 99], [11, 0, 7], [20, 98, 0]]
PLACES = {"A": 0, "B": 1, "C": 2}
EXAMPLE = [
    ("D1", "A", "pick_up", 2), ("D1", "B", "pick_up", 10), ("D1", "C", "drop_off", 2), ("D1", "A", "drop_off", 10),
]


def actions(*rows: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(("driver", "location", "action_type", "order_no"), row, strict=True)) for row in rows]


def times(*rows: tuple[Any, ...]) -> dict[Any, int]:
    return calculate_delivery_times(actions(*rows), MATRIX, PLACES)


def test_doctest() -> None:
    assert doctest.testmod(delivery_times).failed == 0


def test_worked_example() -> None:
    found = times(*EXAMPLE)
    assert list(found.items()) == [(2, 17), (10, 27)]
    assert format_delivery_times(found) == [
        "order 2 is delivered within 17 mins", "order 10 is delivered within 27 mins",
    ]


@pytest.mark.parametrize(
    ("given", "text"), [(7, "order 7"), ("7", "order 7"), ("order 7", "order 7"), ("Order A-7", "order A-7")]
)
def test_label_has_the_word_once(given: Any, text: str) -> None:
    found = times(("D", "A", "pick_up", given), ("D", "B", "drop_off", given))
    assert list(found) == [given]
    assert format_delivery_times(found) == [f"{text} is delivered within 10 mins"]


def test_numbers_sort_as_numbers_whatever_their_type() -> None:
    names = ["order 10", 2, "1", "B12", "B3", 30]
    rows = [("D", "A", "pick_up", n) for n in names] + [("D", "A", "drop_off", n) for n in names]
    assert list(times(*rows)) == ["1", 2, "order 10", 30, "B3", "B12"]
    assert set(times(*rows).values()) == {0}, "staying adds nothing"


def test_direction_matters_and_drivers_have_own_clocks() -> None:
    found = times(
        ("D1", "B", "pick_up", 1), ("D2", "A", "pick_up", 2), ("D1", "A", "drop_off", 1), ("D2", "B", "drop_off", 2),
    )
    assert found == {1: 11, 2: 10}


def test_empty_input() -> None:
    assert calculate_delivery_times([], [], {}) == {}
    assert format_delivery_times({}) == []


def test_input_is_not_changed() -> None:
    given = actions(*EXAMPLE)
    before = copy.deepcopy((given, MATRIX, PLACES))
    calculate_delivery_times(given, MATRIX, PLACES)
    assert (given, MATRIX, PLACES) == before


WRONG = {
    "never dropped off": [("D", "A", "pick_up", 1)],
    "without a pickup": [("D", "A", "drop_off", 1)],
    "picked up by D": [("D", "A", "pick_up", 1), ("E", "A", "drop_off", 1)],
    "picked up a second time": [("D", "A", "pick_up", 1), ("D", "B", "pick_up", 1), ("D", "C", "drop_off", 1)],
    "dropped off a second time": [("D", "A", "pick_up", 1), ("D", "B", "drop_off", 1), ("D", "C", "drop_off", 1)],
    "unknown location 'Z'": [("D", "Z", "pick_up", 1), ("D", "B", "drop_off", 1)],
    "unknown action_type 'hold'": [("D", "A", "hold", 1)],
    "lacks location": [("D", None, "pick_up", 1)],
    "lacks driver": [(None, "A", "pick_up", 1)],
    "plain name": [("D", ["A"], "pick_up", 1)],
}


@pytest.mark.parametrize("says", WRONG)
def test_wrong_actions_raise(says: str) -> None:
    with pytest.raises(DeliveryActionError, match=says):
        times(*WRONG[says])


@pytest.mark.parametrize("says", WRONG)
def test_wrong_actions_are_listed_and_spoil_their_order_only(says: str) -> None:
    problems: list[Any] = []
    good = actions(("G", "A", "pick_up", 5), ("G", "B", "drop_off", 5))
    found = calculate_delivery_times(actions(*WRONG[says]) + good, MATRIX, PLACES, problems)
    assert found == {5: 10}
    assert any(says in str(problem) for problem in problems)


def test_missing_key() -> None:
    with pytest.raises(DeliveryActionError, match="lacks order_no"):
        calculate_delivery_times([{"driver": "D", "location": "A", "action_type": "pick_up"}], MATRIX, PLACES)


def test_clock_is_unknown_after_an_unknown_place() -> None:
    """Order 1 was done before; order 2 crosses the unknown place and has no time."""
    problems: list[Any] = []
    found = calculate_delivery_times(
        actions(
            ("D", "A", "pick_up", 1), ("D", "B", "drop_off", 1), ("D", "B", "pick_up", 2), ("D", "Z", "pick_up", 3),
            ("D", "C", "drop_off", 2),
        ),
        MATRIX, PLACES, problems,
    )
    assert found == {1: 10}
    assert {p.order_no for p in problems} == {2, 3}


@pytest.mark.parametrize("matrix", [[[0]], [[0, None, 0], [0, 0, 0], [0, 0, 0]], [[0, 2.5, 0]] * 3, [[0, -1, 0]] * 3])
def test_travel_times_must_be_whole_minutes(matrix: Any) -> None:
    with pytest.raises(DeliveryActionError, match="no whole minutes"):
        calculate_delivery_times(actions(("D", "A", "pick_up", 1), ("D", "B", "drop_off", 1)), matrix, PLACES)


def test_as_an_analysis(city: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "actions.json"
    path.write_text(json.dumps(actions(*EXAMPLE, ("D1", "A", "drop_off", 99))))
    answer = city.analyze(
        "delivery.calculate_delivery_times", actions=str(path), travel_matrix=json.dumps(MATRIX),
        location_mapping=json.dumps(PLACES),
    )
    assert answer.rows == [
        {"order_no": "2", "minutes": 17, "text": "order 2 is delivered within 17 mins"},
        {"order_no": "10", "minutes": 27, "text": "order 10 is delivered within 27 mins"},
    ]
    (problem,) = answer.extras["problems"]
    assert problem["order_no"] == 99


@pytest.mark.parametrize(
    "wrong", [{"actions": "nowhere.json"}, {"actions": "[1]"}, {"actions": "[{"}, {"travel_matrix": "{}"}]
)
def test_analysis_says_what_is_wrong_with_its_input(city: Warehouse, wrong: dict[str, str]) -> None:
    given = {"actions": "[]", "travel_matrix": "[]", "location_mapping": "{}"} | wrong
    with pytest.raises(UsageError, match=next(iter(wrong))):
        city.analyze("delivery.calculate_delivery_times", **given)
