"""Explanations: planted causes named with their share of the move, exact parts, honest silence."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import inference_shop as data
import numpy as np
import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.contracts.vocabulary import MetricTree
from prodsense.errors import UsageError
from prodsense.inference.explain_windows import Window, read_window

LAST = data.DAYS - 1
BEFORE = f"{data.on(LAST - 13)}..{data.on(LAST - 7)}"
AFTER = f"{data.on(LAST - 6)}..{data.on(LAST)}"


@pytest.fixture(scope="module")
def bug() -> Any:
    """Half of Bonn's orders on ios fail in the last week; and a known event at its start."""

    def plant(c: dict[str, Any], rng: np.random.Generator) -> None:
        hit = (c["day"] > LAST - 7) & (c["platform"] == 1) & (c["city"] == 1)
        c["done"] &= ~(hit & (rng.random(len(hit)) < 0.5))

    tree = MetricTree("revenue_tree", "Revenue by its parts.", "revenue", "orders * completion * basket")
    wrong = MetricTree("wrong_tree", "Does not hold.", "revenue", "orders * basket")
    happened = [
        {"happened_at": datetime(2024, 4, 14, 9), "what": "release 7.1"},
        {"happened_at": datetime(2024, 2, 1), "what": "release 6"},
    ]  # fmt: skip
    trees = {t.name: t for t in (tree, wrong)}
    with data.shop(data.rows(plant), happened, trees=trees) as wh:
        yield wh


def test_a_rate_names_slice_onset_and_share(bug: data.Shop) -> None:
    found = bug.explain("done_rate", BEFORE, AFTER)
    top = found.rows[0]
    assert top["slice"] == "city=Bonn&platform=ios"
    assert top["share_of_move"] == pytest.approx(1.0, abs=0.15)
    # 9% of the orders lose half of their 90%
    assert found.extras["delta"] == pytest.approx(-0.09 * 0.45, abs=0.012)
    assert found.extras["usual"]["verdict"] == "beyond usual"
    assert found.extras["onset"]["day"] == data.on(LAST - 6)
    first = found.extras["hypotheses"][0]
    assert first["kind"] == "slice" and "city=Bonn&platform=ios" in first["says"]
    assert found.extras["label"] == "observational" and any("observational" in note for note in found.notes)
    assert found.extras["answers"][0]["where"] == {"city": "Bonn", "platform": "ios"}
    (mix,) = [m for m in found.extras["mix"] if m["dimension"] == "city"]
    assert abs(mix["rate"] + mix["mix"] - found.extras["delta"]) <= 1e-12


def test_a_metric_that_matures_is_seen_from_the_newest_moment(bug: data.Shop) -> None:
    """The week before the last one is settled by now, though it was not at its own end."""
    found = bug.explain("settled_rate", f"{data.on(LAST - 20)}..{data.on(LAST - 14)}", BEFORE)
    plain = bug.explain("done_rate", f"{data.on(LAST - 20)}..{data.on(LAST - 14)}", BEFORE)
    assert found.extras["before"] == plain.extras["before"] and found.extras["after"] is not None


def test_parts_of_a_derived_metric_and_of_a_declared_tree_add_up(bug: data.Shop) -> None:
    for name, parts in (("completion", {"done_orders", "orders"}), ("revenue", {"orders", "completion", "basket"})):
        found = bug.explain(name, BEFORE, AFTER)
        assert {row["part"] for row in found.extras["tree"]} == parts
        total = math.fsum(row["effect"] for row in found.extras["tree"])
        assert total == pytest.approx(found.extras["delta"], rel=1e-9)
    with pytest.raises(UsageError, match="does not hold"):
        bug.explain("revenue", BEFORE, AFTER, tree="wrong_tree")
    with pytest.raises(UsageError, match=r"no tree named x.*revenue_tree"):
        bug.explain("revenue", BEFORE, AFTER, tree="x")


def test_a_metric_that_does_not_add_up_is_searched_in_its_leading_part(bug: data.Shop) -> None:
    found = bug.explain("sales", BEFORE, AFTER)
    assert found.extras["sliced"] == "completion" and found.rows[0]["slice"] == "city=Bonn&platform=ios"
    buyers = bug.explain("buyers", BEFORE, AFTER)
    assert buyers.rows == [] and any("does not add up over slices" in note for note in buyers.notes)


def test_known_events_stand_beside_the_onset(bug: data.Shop) -> None:
    events = bug.engine.query("SELECT happened_at AS at, what FROM shop.happenings")
    found = bug.explain("done_rate", BEFORE, AFTER, events=events)
    assert [(e["what"], e["days_before_onset"]) for e in found.extras["events"]] == [("release 7.1", 1)]
    assert any(h["kind"] == "event" and "release 7.1" in h["says"] for h in found.extras["hypotheses"])
    with pytest.raises(UsageError, match="no column at"):
        bug.explain("done_rate", BEFORE, AFTER, events="happenings")


def test_a_usual_difference_is_called_usual(clean: data.Shop) -> None:
    found = clean.explain("orders", BEFORE, AFTER)
    assert found.extras["usual"]["verdict"] == "usual" and found.rows == [] and found.extras["onset"] is None
    assert found.extras["hypotheses"][0]["kind"] == "chance"


def test_a_fall_that_all_share_is_broad() -> None:
    with data.shop(data.rows(lambda c, rng: (c["day"] <= LAST - 7) | (rng.random(len(c["day"])) < 0.7))) as wh:
        found = wh.explain("orders", BEFORE, AFTER)
        assert [row["slice"] for row in found.rows] == ["all"]
        assert found.extras["hypotheses"][0]["kind"] == "broad"
        assert found.extras["onset"]["day"] == data.on(LAST - 6)


def test_a_shift_of_the_mix_is_told_from_rates() -> None:
    """Web completes less; half of android moves to it. No group changes, the whole falls."""

    def plant(c: dict[str, Any], rng: np.random.Generator) -> None:
        move = (c["day"] > LAST - 7) & (c["platform"] == 0) & (rng.random(len(c["day"])) < 0.5)
        c["platform"][move] = 2
        c["done"][:] = rng.random(len(c["day"])) < np.where(c["platform"] == 2, 0.5, 0.95)

    with data.shop(data.rows(plant)) as wh:
        found = wh.explain("done_rate", BEFORE, AFTER)
        top = found.extras["mix"][0]
        assert top["dimension"] == "platform" and top["mix_share"] == pytest.approx(1.0, abs=0.2)
        assert found.extras["hypotheses"][0]["kind"] == "mix"


def test_a_slice_that_stops_is_asked_to_be_checked_first() -> None:
    with data.shop(data.rows(lambda c, rng: ~((c["day"] > LAST - 7) & (c["platform"] == 2)))) as wh:
        found = wh.explain("orders", BEFORE, AFTER)
        assert found.rows[0]["slice"] == "platform=web" and found.rows[0]["after"] == 0
        assert found.extras["hypotheses"][0]["kind"] == "data"


def test_windows() -> None:
    assert read_window("2024-02", "from") == Window(datetime(2024, 2, 1).date(), datetime(2024, 3, 1).date())
    assert read_window("2024-02-01..2024-02-03", "from").days == 3
    with pytest.raises(UsageError, match="before it begins"):
        read_window("2024-02-03..2024-02-01", "from")
    with pytest.raises(UsageError, match="should be a date"):
        read_window("yesterday", "to")


def test_refusals(clean: data.Shop) -> None:
    with pytest.raises(UsageError, match="overlap"):
        clean.explain("orders", "2024-02-01..2024-02-10", "2024-02-10")
    with pytest.raises(UsageError, match="has no value in to"):
        clean.explain("done_rate", BEFORE, "2030-01-01")
    with pytest.raises(UsageError, match="no dimension named country"):
        clean.explain("orders", BEFORE, AFTER, dims=["country"])


def test_windows_of_unlike_length_are_scaled(clean: data.Shop) -> None:
    found = clean.explain("orders", f"{data.on(70)}..{data.on(90)}", f"{data.on(91)}..{data.on(97)}")
    assert abs(found.extras["change"]) < 0.05 and any("scaled by 0.333" in note for note in found.notes)


# -- any table --------------------------------------------------------------------------------------------


def requests() -> pa.Table:
    """Errors and requests of two minutes: one data centre fails on one route in the second."""
    rows = []
    rng = np.random.default_rng(8)
    for minute in range(5):
        for dc in "xyz":
            for route in ("read", "write"):
                for device in ("phone", "desk"):
                    n = 2000
                    rate = 0.2 if minute == 4 and dc == "y" and route == "write" else 0.01
                    rows.append({"minute": 100 + minute, "dc": dc, "route": route, "device": device,
                                 "errors": int(rng.binomial(n, rate)), "requests": n})  # fmt: skip
    return pa.Table.from_pylist(rows)


def test_a_ratio_of_a_table() -> None:
    found = ps.explain(requests(), numerator="errors", denominator="requests", time="minute", after=104)
    assert [row["slice"] for row in found.rows] == ["dc=y&route=write"]
    assert found.extras["candidates"][0]["where"] == {"dc": "y", "route": "write"}
    assert found.unit == "share" and found.extras["before"] == pytest.approx(0.01, abs=0.002)
    same = ps.explain(requests(), numerator="errors", denominator="requests", time="minute", before="100..103",
                      after=104, dims=["dc", "route"])  # fmt: skip
    assert same.rows[0]["slice"] == "dc=y&route=write"


def test_a_sum_of_a_table_between_times() -> None:
    table = data.rows(lambda c, rng: ~((c["day"] > LAST - 7) & (c["city"] == 2) & (rng.random(len(c["day"])) < 0.5)))
    found = ps.explain(table, value="amount", time="day", before=BEFORE, after=AFTER)
    assert [row["slice"] for row in found.rows] == ["city=Celle"]
    assert found.rows[0]["change"] == pytest.approx(-0.5, abs=0.07)
    where = ps.explain(table, value="amount", time="day", before=BEFORE, after=AFTER, where="city <> 'Celle'")
    assert where.rows == []


def test_a_forecast_of_a_table() -> None:
    rng = np.random.default_rng(9)
    rows = [
        {"a": f"a{i}", "b": f"b{j}", "c": f"c{k}", "wanted": (f := float(rng.lognormal(4, 1))),
         "is": f * float(rng.normal(0.4 if (i, k) == (3, 2) else 1.0, 0.05))}
        for i in range(8) for j in range(8) for k in range(6)
    ]  # fmt: skip
    found = ps.explain(pa.Table.from_pylist(rows), value="is", expected="wanted")
    assert [row["slice"] for row in found.rows] == ["a=a3&c=c2"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"value": "errors"}, "compared with"),
        ({"value": "errors", "time": "minute"}, "which time"),
        ({"numerator": "errors", "time": "minute"}, "numerator and denominator"),
        ({"value": "errors", "time": "minute", "after": "soon"}, "number or a range"),
        ({"value": "errors", "time": "minute", "before": "103..104", "after": "104"}, "overlap"),
        ({"value": "errors", "time": "dc", "after": "2024-01-01"}, "cannot be read so"),
        ({"value": "errors", "time": "minute", "before": "1..2", "after": "3..4"}, "holds nothing"),
        ({"value": "dc", "time": "minute", "after": "104"}, "not numbers"),
        ({"value": "nothing", "time": "minute", "after": "104"}, "no column nothing"),
    ],
)
def test_a_table_is_asked_rightly(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ps.explain(requests(), **options)


def test_times_of_a_table_are_days_moments_and_ranges() -> None:
    start = datetime(2024, 1, 1)
    table = pa.table({"t": [start + timedelta(hours=i) for i in range(48)], "x": [1.0] * 24 + [2.0] * 24,
                      "k": ["a", "b"] * 24})  # fmt: skip
    for before, after in (("2024-01-01", "2024-01-02"), ("2024-01-01T00:00..2024-01-02T00:00", "2024-01-02")):
        found = ps.explain(table, value="x", time="t", before=before, after=after)
        assert (found.extras["before"], found.extras["after"]) == (24.0, 48.0)
    found = ps.explain(table, value="x", time="t", before="2024-01-01T00:00..2024-01-01T12:00", after="2024-01-02")
    assert found.extras["before"] == 24.0 and "scaled by 2" in found.notes[0]
