"""Parts of a move: published figures, exact sums, and refusals."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsense.errors import UsageError
from prodsense.inference.decompose import adtributor, kitagawa, log_mean, multiplicative, shapley

positive = st.floats(0.01, 1e6)


def exact(parts: object, total: float) -> bool:
    """Whether parts add up to the last digits."""
    return abs(math.fsum(parts) - total) <= 1e-12 * max(1.0, abs(total))  # type: ignore[arg-type]


def test_log_mean_by_hand() -> None:
    assert log_mean(3.0, 3.0) == 3.0
    assert log_mean(math.e, 1.0) == pytest.approx(math.e - 1)
    # Near equal numbers: the arithmetic mean, to second order.
    assert log_mean(1e9 + 1e-3, 1e9) == pytest.approx(1e9 + 5e-4, rel=1e-15)
    with pytest.raises(UsageError, match="positive"):
        log_mean(0.0, 1.0)


def test_a_product_by_hand() -> None:
    # 100 orders of 20 become 80 of 25: the total stays at 2,000, and the two effects are equal and opposite.
    found = multiplicative({"orders": 100, "basket": 20}, {"orders": 80, "basket": 25}, {"orders": 1, "basket": 1})
    assert found["orders"] == pytest.approx(2000 * math.log(0.8)) and found["basket"] == pytest.approx(-found["orders"])


@given(st.lists(st.tuples(positive, positive, st.sampled_from([1, -1])), min_size=1, max_size=5))
def test_products_add_up(parts: list[tuple[float, float, int]]) -> None:
    names = [f"p{i}" for i in range(len(parts))]
    before = {n: a for n, (a, _, _) in zip(names, parts, strict=True)}
    after = {n: b for n, (_, b, _) in zip(names, parts, strict=True)}
    powers = {n: p for n, (_, _, p) in zip(names, parts, strict=True)}
    total = math.prod(after[n] ** powers[n] for n in names) - math.prod(before[n] ** powers[n] for n in names)
    assert exact(multiplicative(before, after, powers).values(), total)


def test_shapley_is_the_mean_over_all_orders() -> None:
    before, after = {"a": 2.0, "b": 3.0, "c": 5.0}, {"a": 4.0, "b": 1.0, "c": 7.0}

    def formula(v: object) -> float:
        return v["a"] * v["b"] + v["c"] ** 2 / v["a"]  # type: ignore[index]

    wanted = dict.fromkeys(before, 0.0)
    for order in itertools.permutations(before):
        state = dict(before)
        for name in order:
            start = formula(state)
            state[name] = after[name]
            wanted[name] += (formula(state) - start) / 6
    found = shapley(before, after, formula)
    assert found == pytest.approx(wanted) and exact(found.values(), formula(after) - formula(before))
    with pytest.raises(UsageError, match="no value"):
        shapley({"a": 1.0}, {"a": 0.0}, lambda v: 1 / v["a"] if v["a"] else None)


def test_kitagawa_of_kidney_stones() -> None:
    """Charig 1986: B looks better and is worse in both groups."""
    found = kitagawa(["small", "large"], [(81, 87), (192, 263)], [(234, 270), (55, 80)])
    assert found.before == 0.78 and found.after == pytest.approx(0.825714, abs=1e-6)
    assert found.rate == pytest.approx(-0.0536712, abs=1e-6) and found.mix == pytest.approx(0.0993855, abs=1e-6)


def test_kitagawa_of_berkeley(shared_data: Path) -> None:
    counts: dict[tuple[str, str], list[float]] = {}
    with (shared_data / "mix_shift" / "ucb_admissions.csv").open() as file:
        for row in csv.DictReader(file):
            cell = counts.setdefault((row["Gender"], row["Dept"]), [0.0, 0.0])
            cell[0] += float(row["Freq"]) * (row["Admit"] == "Admitted")
            cell[1] += float(row["Freq"])
    depts = sorted({dept for _, dept in counts})
    sides = [[tuple(counts[gender, d]) for d in depts] for gender in ("Male", "Female")]
    found = kitagawa(depts, *sides)  # type: ignore[arg-type]
    assert (found.rate, found.mix) == (pytest.approx(0.0360285, abs=1e-6), pytest.approx(-0.1776739, abs=1e-6))
    by_dept = {g["group"]: g["effect"] for g in found.groups}
    published = {"A": -0.04902, "B": -0.04911, "C": -0.01028, "D": 0.00161, "E": -0.02208, "F": -0.01277}
    assert by_dept == pytest.approx(published, abs=1e-5)
    base = kitagawa(depts, *sides, weights="base")  # type: ignore[arg-type]
    assert base.rate == pytest.approx(0.0709692, abs=1e-6)
    assert base.mix == pytest.approx(-0.1427332, abs=1e-6)
    assert base.interaction == pytest.approx(-0.0698814, abs=1e-6)


counts = st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(lambda pair: (float(min(pair)), float(max(pair))))


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=6), st.sampled_from(["midpoint", "base"]))
def test_rate_and_mix_add_up(groups: list[tuple[tuple[float, float], tuple[float, float]]], weights: str) -> None:
    before, after = [g[0] for g in groups], [g[1] for g in groups]
    if not sum(n for _, n in before) or not sum(n for _, n in after):
        with pytest.raises(UsageError, match="denominator"):
            kitagawa(range(len(groups)), before, after)
        return
    found = kitagawa(range(len(groups)), before, after, weights)  # type: ignore[arg-type]
    delta = found.after - found.before
    assert abs(found.rate + found.mix + found.interaction - delta) <= 1e-12
    assert exact([g["effect"] for g in found.groups], delta)


def test_adtributor_toy(shared_data: Path) -> None:
    """The example of NSDI 2014: a data centre with 94% of the traffic explains 94% of the fall, and no surprise."""
    dimensions: dict[str, dict[str, tuple[float, float]]] = {}
    with (shared_data / "mix_shift" / "adtributor_toy.csv").open() as file:
        for row in csv.DictReader(file):
            dimensions.setdefault(row["dimension"], {})[row["element"]] = (float(row["forecast"]), float(row["actual"]))
    found = adtributor(dimensions)
    assert found[0]["dimension"] == "device" and set(found[0]["elements"]) == {"Tablet", "Mobile"}
    assert found[0]["explains"] == pytest.approx(0.98)
    detail = {row["element"]: row for row in found[0]["detail"]}
    assert detail["Tablet"]["surprise"] == pytest.approx(0.08664, abs=1e-5)
    assert detail["PC"]["surprise"] == pytest.approx(0.03963, abs=1e-5) and detail["PC"]["explains"] == 0.02
    last = found[-1]
    assert last["dimension"] == "data_center" and last["surprise"] == pytest.approx(0, abs=1e-12)
