"""Small groups: what is hidden, and that nothing shown tells of it."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.contracts.vocabulary import Dimension, Metric
from prodsense.errors import ForbiddenError
from prodsense.metrics.scope import Scope
from prodsense.privacy.suppress import check_slices, check_where, lines_of, protect, suppress_rows

K = 5


def cells(*sizes: int) -> dict[Hashable, int]:
    """Cells of one slice of one dimension."""
    return {(None, (place,)): size for place, size in enumerate(sizes)}


def hidden(sizes: Mapping[Hashable, int], grain: str = "all", k: int = K) -> list[Any]:
    gone = protect(sizes, lines_of(list(sizes), grain), k)  # type: ignore[arg-type]
    return sorted(slices[0] if period is None else period.isoformat() for period, slices in gone)


def test_large_groups_are_shown() -> None:
    assert hidden(cells(5, 6, 100)) == []


def test_a_small_group_takes_another_with_it_so_that_the_total_does_not_tell() -> None:
    assert hidden(cells(100, 4, 60, 70)) == [1, 2]
    assert hidden(cells(100, 90, 4)) == [0, 2]


def test_two_small_groups_take_a_large_one_with_them() -> None:
    """Their sum alone could be about the same few people."""
    assert hidden(cells(3, 4, 100, 90)) == [0, 1, 2]


def test_where_all_are_small_all_are_hidden() -> None:
    assert hidden(cells(1, 2, 3)) == [0, 1, 2]
    assert hidden(cells(4)) == [0]


def test_days_are_hidden_in_pairs_within_a_week_and_within_a_month() -> None:
    """2024-01-31 is a Wednesday: its week goes on in February, its month does not."""
    first = date(2024, 1, 22)
    sizes: dict[Hashable, int] = {(first + timedelta(days=n), ()): 50 for n in range(21)}
    sizes[date(2024, 1, 31), ()] = 2
    gone = [date.fromisoformat(day) for day in hidden(sizes, "day")]
    assert date(2024, 1, 31) in gone
    assert len([d for d in gone if d.isocalendar()[1] == 5]) >= 2
    assert len([d for d in gone if d.month == 1]) >= 2
    assert len(gone) <= 4


def test_a_cell_between_two_pairs_does_not_follow_from_all_sums_together() -> None:
    """Each line has two hidden cells, yet the one that joins two rectangles would follow: a third must go."""
    size = dict.fromkeys(itertools.product(range(4), range(4)), 50)
    bridge = {(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (1, 2)}
    size |= dict.fromkeys(bridge, 2)
    given_away = solvable({(None, c): n for c, n in size.items()}, {(None, c) for c in bridge}, "all")
    assert given_away == {(None, (1, 2))}
    gone = protect({(None, c): n for c, n in size.items()}, lines_of([(None, c) for c in size], "all"), K)
    assert not solvable({(None, c): n for c, n in size.items()}, gone, "all") & {(None, c) for c in bridge}


def solvable(sizes: Mapping[Any, int], gone: set[Any], grain: str) -> set[Any]:
    """Hidden cells that follow from the cells shown and all totals: an oracle by linear algebra on all cells.

    Totals are those over each dimension, over each longer period that the days make up, and over all time.
    """
    if not sizes:
        return set()
    order = list(sizes)
    at = {cell: place for place, cell in enumerate(order)}
    known = [np.eye(len(order))[at[cell]] for cell in order if cell not in gone]
    totals: dict[Any, list[int]] = {}
    for period, slices in order:
        for place in range(len(slices)):
            totals.setdefault((period, place, slices[:place], slices[place + 1 :]), []).append(at[period, slices])
        if grain == "day":
            week, month = period.isocalendar()[:2], (period.year, period.month)
            for label in (("week", week), ("month", month), ("all", None)):
                totals.setdefault((label, slices), []).append(at[period, slices])
    for members in totals.values():
        row = np.zeros(len(order))
        row[members] = 1
        known.append(row)
    matrix = np.array(known)
    reach = np.linalg.pinv(matrix) @ matrix
    return {cell for cell in gone if abs(reach[at[cell], at[cell]] - 1) < 1e-7}


SIZES = st.one_of(st.integers(1, K - 1), st.integers(K, 200), st.integers(K, 200))


@st.composite
def answers(draw: Any) -> tuple[dict[Any, int], str]:
    """People by cell of an answer with up to three slices, over all time or by day."""
    timed = draw(st.booleans())
    widths = draw(st.lists(st.integers(2, 4), min_size=0 if timed else 1, max_size=1 if timed else 3))
    days: list[Any] = [None]
    if timed:
        days = [date(2024, 1, 24) + timedelta(days=n) for n in range(draw(st.integers(2, 16)))]
    every = list(itertools.product(days, itertools.product(*(range(width) for width in widths))))
    found = {cell: draw(SIZES) for cell in every if draw(st.integers(0, 9)) < 8}
    return found, "day" if timed else "all"


STEADY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@settings(max_examples=60, **STEADY)
@given(answers())
def test_no_small_group_follows_from_what_an_answer_shows_and_its_totals(answer: tuple[dict[Any, int], str]) -> None:
    sizes, grain = answer
    lines = lines_of(list(sizes), grain)
    gone = protect(sizes, lines, K)
    small = {cell for cell, size in sizes.items() if size < K}
    assert small <= gone
    leaks = solvable(sizes, gone, grain) & small
    # What follows even with everything hidden is a total of one cell, which is hidden as a total as well.
    assert leaks <= solvable(sizes, set(sizes), grain)
    if not small:
        assert not gone
    for line in lines:
        left = [sizes[cell] for cell in line if cell in gone]
        assert not left or len(left) == len(line) or (len(left) > 1 and max(left) >= K)


@settings(max_examples=20, **STEADY)
@given(answers(), st.integers(2, 8))
def test_a_higher_k_hides_the_small_groups_of_a_lower(answer: tuple[dict[Any, int], str], k: int) -> None:
    sizes, grain = answer
    lines = lines_of(list(sizes), grain)
    assert {c for c, n in sizes.items() if n < k} <= protect(sizes, lines, k + 1)


def test_many_unknowns_are_solved_as_few_are() -> None:
    """A block of small cells large enough for the other way of solving: none is given away, the bridge is seen."""
    wide = {(None, (row, column)): 2 for row in range(20) for column in range(20)}
    apart = {(None, (row, column)): 2 for row in range(30, 50) for column in range(30, 50)}
    shown = {(None, (row, 60)): 80 for row in (*range(20), *range(30, 50))}
    sizes = {**wide, **apart, **shown, (None, (3, 33)): 2}
    gone = protect(sizes, lines_of(list(sizes), "all"), K)
    assert (None, (3, 33)) in gone
    leaks = solvable(sizes, gone, "all")
    assert not {cell for cell in leaks if sizes[cell] < K}


def test_rows_of_a_query_keep_their_names_and_lose_their_numbers() -> None:
    rows = [{"kind": "a", "people": 40, "mean": 1.5}, {"kind": "b", "people": 2, "mean": 2.5},
            {"kind": "c", "people": 30, "mean": 3.5}, {"kind": "d", "people": 0, "mean": None}]  # fmt: skip
    shown, some = suppress_rows(rows, "people", (), K)
    assert some
    assert shown == [
        {"kind": "a", "people": 40, "mean": 1.5, "suppressed": False},
        {"kind": "b", "people": None, "mean": None, "suppressed": True},
        {"kind": "c", "people": None, "mean": None, "suppressed": True},
        {"kind": "d", "people": 0, "mean": None, "suppressed": False},
    ]


def test_rows_of_a_query_are_told_apart_by_their_keys() -> None:
    """Shares of a month add up within the month: what goes with a small group is of the same month."""
    rows = [{"month": m, "kind": kind, "users": 50 + kind, "label": "x"} for m in (1, 2) for kind in (1, 2, 3)]
    rows[4]["users"] = 3
    shown, _ = suppress_rows(rows, "users", ("month", "kind"), K)
    gone = [(row["month"], row["kind"]) for row in shown if row["suppressed"]]
    assert len([kind for month, kind in gone if month == 2]) >= 2
    assert len([month for month, kind in gone if kind == 2]) == 2
    assert all(row["users"] is None and row["label"] == "x" and row["kind"] for row in shown if row["suppressed"])


SCOPE = Scope(
    "shop", {"n": Metric("n", "", "count", "up", "COUNT(*)", "orders")},
    {"city": Dimension("city", "", {"orders": "city"}), "customer": Dimension("customer", "", {"orders": "customer_id"})},
)  # fmt: skip


@pytest.mark.parametrize("where", ["customer_id = 7", "customer = 7", "city = 'Rome' AND amount > 5",
                                   "CAST(city AS INT) > 1",
                                   "city * 9223372036854775807 > 0", "-city < 1"])  # fmt: skip
def test_a_condition_may_name_slices_of_more_than_one_person_only(where: str) -> None:
    with pytest.raises(ForbiddenError):
        check_where(where, SCOPE, ["customer_id"], "executive")


def test_what_a_condition_leaves_out_is_a_condition_too() -> None:
    assert check_where("city = 'Rome' OR city IS NULL", SCOPE, [], "executive") == (
        "NOT COALESCE((city = 'Rome' OR city IS NULL), FALSE)"
    )
    assert check_where("  ", SCOPE, [], "executive") == check_where(None, SCOPE, [], "executive") == ""


def test_people_are_counted_by_what_names_them() -> None:
    from prodsense.contracts.tables import read_schema
    from prodsense.privacy.suppress import supported

    tables = read_schema(
        "CREATE TABLE rides (id INT, rider_user_id INT, driver_user_id INT, valid INT); CREATE TABLE kinds (kind INT);"
        " CREATE TABLE sums (day DATE, users INT)", "p",
    )  # fmt: skip
    metrics = {name: Metric(name, "", "count", "up", "COUNT(*)", name, where="TRUE") for name in tables}
    metrics["both"] = Metric("both", "", "ratio", "up", "ratio(rides, kinds)")
    metrics["none"] = Metric("none", "", "count", "up", "COUNT(*)", "kinds")
    found = supported(Scope("p", metrics, tables=tables), ["both", "sums"], {"sums": "SUM(users)"}, ["user_id"])
    sql = {name: found.scope.metrics[name].sql for name in found.names}
    assert [[sql[n] for n in found.counts[m]] for m in ("both", "sums")] == [
        ["COUNT(DISTINCT rider_user_id)", "COUNT(DISTINCT driver_user_id)", "COUNT(*)"], ["SUM(users)"],
    ]  # fmt: skip
    assert {found.scope.metrics[name].where for name in found.names} == {"TRUE"}
    nobody = supported(Scope("p", metrics, tables=tables), ["none"], {"kinds": ()}, ["user_id"])
    assert nobody.counts == {"none": ()}


def test_groups_of_one_person_each_are_refused() -> None:
    check_slices(["city"], SCOPE, ["customer_id"], "executive")
    with pytest.raises(ForbiddenError, match="one person"):
        check_slices(["city", "customer"], SCOPE, ["customer_id"], "executive")
