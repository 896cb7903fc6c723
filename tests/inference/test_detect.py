"""Detectors: planted moves are found with their day and subject, a clean shop gives none, refusals say why."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import inference_shop as data
import numpy as np
import pyarrow as pa
import pytest

from prodsense.contracts.vocabulary import Detector, Param
from prodsense.errors import UsageError
from prodsense.inference import detectors as ready
from prodsense.inference.detect import COLUMNS, Findings

LAST = data.DAYS - 1


def ask(wh: data.Shop, detector: Detector, **options: Any) -> list[dict[str, Any]]:
    return wh.detect(detector, pack="shop", **options).rows


ALL = (
    ready.metric_anomaly("orders_anomaly", "Orders are far from usual.", metric="orders", by=("city", "platform")),
    ready.metric_anomaly("rate_anomaly", "The rate is far from usual.", metric="done_rate", by="city"),
    ready.metric_anomaly("weekly_anomaly", "A week is far from usual.", metric="revenue", grain="week"),
    ready.drop_rule("rate_drop", "The rate fell.", metric="done_rate", by="platform", drop=0.05),
    ready.share_drift("platform_drift", "The platforms shift.", metric="orders", by="platform", min_shift=0.03),
    ready.freshness("fresh", "Tables lag."),
    ready.volume("rows", "Rows are far from usual.", table="orders", by="platform"),
    ready.own_history_drop("quiet", "A customer falls silent.", table="orders", subject="customer_id"),
    ready.own_history("small", "A customer buys for less.", table="orders", subject="customer_id", value="amount",
                      measure="mean", drop=0.4),
    ready.new_value("new_city", "A city appears.", table="orders", column="city"),
    ready.limit("too_few", "Too few.", metric="orders", below=100),
    ready.level_shift("shift", "A level changed.", metric="orders", by="city", direction="both"),
    ready.novelty_decay("novelty", "A lift wears off.", metric="orders", launch="2024-03-01"),
)


def test_a_clean_shop_gives_no_findings(clean: data.Shop) -> None:
    found = clean.detect(*ALL, pack="shop")
    assert found.rows == []
    states = {c["detector"].removeprefix("shop."): c["state"] for c in found.extras["checked"]}
    assert states == {detector.name: "quiet" for detector in ALL}
    assert found.arrow.column_names == list(COLUMNS)


def test_an_outage_in_one_city_is_that_citys_finding() -> None:
    def outage(c: dict[str, Any], rng: np.random.Generator) -> Any:
        hit = (c["day"] == LAST) & (c["city"] == 1)
        return ~hit | (rng.random(len(hit)) < 0.4)

    with data.shop(data.rows(outage)) as wh:
        (row,) = ask(wh, ready.metric_anomaly("a", "Off.", metric="orders", by="city"))
        assert (row["subject"], row["period"], row["severity"]) == ("city=Bonn", data.on(LAST).isoformat(), "warning")
        # 400 a day, 0.8 of it on a Sunday, 0.3 of it in Bonn: 96 usually, 38 now
        assert row["expected"] == pytest.approx(96, rel=0.15) and row["value"] == pytest.approx(38, abs=15)
        assert row["low"] > row["value"] and row["score"] < -4
        before = ready.metric_anomaly("a", "Off.", metric="orders", by="city")
        assert ask(wh, before, as_of=data.on(LAST - 1)) == []


def test_a_rise_of_what_is_better_up_is_only_told() -> None:
    def rush(c: dict[str, Any], rng: np.random.Generator) -> None:
        c["day"][(c["day"] >= LAST - 13) & (c["day"] < LAST) & (rng.random(len(c["day"])) < 0.1)] = LAST

    with data.shop(data.rows(rush)) as wh:
        (row,) = ask(wh, ready.metric_anomaly("a", "Off.", metric="orders"))
        assert row["severity"] == "info" and row["value"] > row["high"]
        assert ask(wh, ready.metric_anomaly("a", "Off.", metric="orders", direction="bad")) == []


def test_a_half_day_is_not_taken_for_a_fall(clean: data.Shop) -> None:
    noon = datetime(2024, 4, 10, 12)
    rule = ready.metric_anomaly("a", "Off.", metric="orders")
    assert ask(clean, rule, as_of=noon) == []
    assert ask(clean, ready.volume("v", "Off.", table="orders"), as_of=noon) == []


def test_a_segments_rate_falls_while_others_stand() -> None:
    def bug(c: dict[str, Any], rng: np.random.Generator) -> None:
        c["done"] &= ~((c["day"] > LAST - 7) & (c["platform"] == 1) & (rng.random(len(c["day"])) < 0.2))

    with data.shop(data.rows(bug)) as wh:
        rule = ready.drop_rule("d", "Fell.", metric="done_rate", by="platform", drop=0.1)
        (row,) = ask(wh, rule)
        assert row["subject"] == "platform=ios" and row["period"] == data.on(LAST - 6).isoformat()
        assert row["expected"] == pytest.approx(0.9, abs=0.02) and row["value"] == pytest.approx(0.72, abs=0.04)
        assert ask(wh, rule, drop=0.5) == []
        big = ready.drop_rule("d", "Fell.", metric="done_rate", by="platform", volume="orders", min_volume=5_000)
        assert ask(wh, big) == []


def test_a_breakdown_drifts_while_the_total_is_flat() -> None:
    def drift(c: dict[str, Any], rng: np.random.Generator) -> None:
        move = (c["day"] > LAST - 7) & (c["platform"] == 0) & (rng.random(len(c["day"])) < 0.3)
        c["platform"][move] = 2

    with data.shop(data.rows(drift)) as wh:
        assert ask(wh, ready.drop_rule("t", "Fell.", metric="orders")) == []
        (row,) = ask(wh, ready.share_drift("s", "Shifts.", metric="orders", by="platform"))
        # 0.3 of the half that is android went to web
        assert row["subject"] in ("platform=android", "platform=web")
        usual, now = row["shares"]["web"]
        assert (usual, now) == (pytest.approx(0.2, abs=0.02), pytest.approx(0.35, abs=0.03))


def test_a_platform_that_sends_nothing_is_a_gap_in_volume() -> None:
    with data.shop(data.rows(lambda c, rng: ~((c["day"] == LAST) & (c["platform"] == 2)))) as wh:
        (row,) = ask(wh, ready.volume("v", "Gap.", table="orders", by="platform"))
        assert (row["subject"], row["value"], row["severity"]) == ("platform=web", 0.0, "critical")


def test_freshness_speaks_of_hours_at_a_moment(clean: data.Shop) -> None:
    rule = ready.freshness("f", "Lags.", tables="orders", within_hours=6)
    moment = datetime.combine(data.on(data.DAYS), datetime.min.time())
    assert ask(clean, rule, as_of=moment + timedelta(hours=5)) == []
    (row,) = ask(clean, rule, as_of=moment + timedelta(hours=10))
    assert row["severity"] == "critical" and row["value"] == pytest.approx(10, abs=0.3) and row["high"] == 6


def customers(counts: dict[int, list[int]], amount: float = 10.0) -> pa.Table:
    """Orders of customers: customer → orders in each week, the last one first, spread over its days."""
    rows: list[dict[str, Any]] = []
    for customer, weeks in counts.items():
        for back, n in enumerate(weeks):
            for i in range(n):
                day = data.on(LAST - 7 * back - i % 7)
                rows.append({
                    "order_id": len(rows), "ordered_at": datetime(day.year, day.month, day.day, 23, 30), "day": day,
                    "city": "Bonn", "platform": "ios", "customer_id": customer, "amount": amount, "done": True,
                })  # fmt: skip
    return pa.Table.from_pylist(rows)


def test_own_history_by_hand() -> None:
    # 0 keeps 20 a week; 1 falls to 2; 2 falls within what chance allows; 3 is new; 4 fell silent; 5 comes and goes.
    counts = {
        0: [20, 20, 20, 20, 20, 7], 1: [2, 20, 20, 20, 20, 7], 2: [1, 3, 1, 2, 2, 7], 3: [1, 9, 9],
        4: [0, 16, 16, 16, 16, 7], 5: [2, 40, 0, 40, 0, 7],
    }  # fmt: skip
    with data.shop(customers(counts)) as wh:
        rule = ready.own_history_drop("q", "Quiet.", table="orders", subject="customer_id")
        found = ask(wh, rule)
        assert [row["subject"] for row in found] == ["customer_id=1", "customer_id=4"]
        one, four = found
        # (20 - 2) / sqrt(20 * (1 + 1/4)): chance, as windows of equal counts do not vary
        assert one["score"] == pytest.approx(-18 / 25**0.5) and (one["value"], one["expected"]) == (2, 20)
        assert four["score"] == pytest.approx(-16 / 20**0.5) and four["value"] == 0
        assert one["period"] == data.on(LAST - 6).isoformat()
        assert ask(wh, rule, min_level=18) == [one]
        rising = ready.own_history("r", "Loud.", table="orders", subject="customer_id", direction="rise")
        assert ask(wh, rising) == []


def test_own_history_of_sums_and_means() -> None:
    table = customers({1: [20, 20, 20, 20, 20, 7], 2: [20, 20, 20, 20, 20, 7]})
    customer, day = (np.array(table[name].to_pylist()) for name in ("customer_id", "day"))
    cheap = (customer == 1) & (day > data.on(LAST - 7))
    rng = np.random.default_rng(0)
    table = table.set_column(
        table.column_names.index("amount"), "amount", pa.array(np.where(cheap, 2.0, 10.0) + rng.normal(0, 1, len(day)))
    )
    with data.shop(table) as wh:
        for measure in ("mean", "sum"):
            rule = ready.own_history("m", "Less.", table="orders", subject="customer_id", value="amount",
                                     measure=measure, drop=0.3, threshold=2.0)  # type: ignore[arg-type]
            assert [row["subject"] for row in ask(wh, rule)] == ["customer_id=1"], measure


def test_a_new_value_is_one_that_no_earlier_row_has() -> None:
    def opening(c: dict[str, Any], rng: np.random.Generator) -> Any:
        return (c["city"] != 3) | (c["day"] > LAST - 3)

    with data.shop(data.rows(opening)) as wh:
        (row,) = ask(wh, ready.new_value("n", "New.", table="orders", column="city"))
        assert row["subject"] == "city=Dessau" and row["period"] == data.on(LAST - 2).isoformat()


def test_a_lift_that_wears_off_is_novelty_and_one_that_lasts_is_not() -> None:
    def lift(fade: float) -> pa.Table:
        def plant(c: dict[str, Any], rng: np.random.Generator) -> Any:
            since = c["day"] - 56
            keep = np.where(since >= 0, 0.6 + 0.4 * np.exp(-np.maximum(since, 0) * fade), 0.6)
            return rng.random(len(since)) < keep

        return data.rows(plant)

    rule = ready.novelty_decay("n", "Fades.", metric="orders", launch=data.on(56).isoformat())
    with data.shop(lift(0.08)) as wh:
        (row,) = ask(wh, rule)
        assert row["expected"] > 80 and row["value"] < row["expected"] / 2
        with pytest.raises(UsageError, match="needs the parameter launch"):
            ask(wh, ready.novelty_decay("novelty", "Fades.", metric="orders"))
    with data.shop(lift(0.0)) as wh:
        assert ask(wh, rule) == []


def test_a_limit_is_a_limit(clean: data.Shop) -> None:
    (row,) = ask(clean, ready.limit("l", "Few.", metric="orders", by="city", below=60))
    assert row["subject"] == "city=Dessau" and row["low"] == 60 and row["severity"] == "critical"
    assert len(ask(clean, ready.limit("l", "Much.", metric="orders", by="city", above=60))) == 3
    with pytest.raises(UsageError, match="below or above"):
        ask(clean, ready.limit("l", "?", metric="orders"))


def test_a_level_that_changed_is_told_with_its_onset() -> None:
    def fall(c: dict[str, Any], rng: np.random.Generator) -> Any:
        return ~((c["day"] > LAST - 9) & (c["city"] == 0)) | (rng.random(len(c["day"])) < 0.7)

    with data.shop(data.rows(fall)) as wh:
        rule = ready.level_shift("s", "Fell.", metric="orders", by="city")
        (row,) = ask(wh, rule)
        assert row["subject"] == "city=Aachen" and row["period"] == data.on(LAST - 8).isoformat()
        assert row["value"] == pytest.approx(0.7 * row["expected"], rel=0.1)
        assert ask(wh, rule, as_of=data.on(LAST - 9)) == [] and ask(wh, rule, within=5) == []


# -- running ---------------------------------------------------------------------------------------------


SQL = """
SELECT 'city=' || city AS subject, MAX(day) AS period, COUNT(*) AS value, 10 AS expected,
       'too few' AS reason, 'critical' AS severity, MIN(day) AS first_day
FROM orders WHERE day <= date_of(:as_of) AND day > add_days(date_of(:as_of), -:days)
GROUP BY city HAVING COUNT(*) < :least ORDER BY city
"""


def sql_detector(**more: Any) -> Detector:
    params = (Param("days", "integer", 1, "Days."), Param("least", "integer", 50, "Fewest."))
    return Detector("few", "Few orders.", SQL, params=params, as_of="orders.ordered_at", **more)


def test_a_detector_in_sql_gives_whole_findings(clean: data.Shop) -> None:
    (row,) = ask(clean, sql_detector(action="call them"))
    assert row["subject"] == "city=Dessau" and row["period"] == data.on(LAST).isoformat()
    assert (row["severity"], row["action"], row["detector"]) == ("critical", "call them", "shop.few")
    assert row["score"] is None and row["low"] is None and row["first_day"] == data.on(LAST)
    assert ask(clean, sql_detector(), least=5) == []
    with pytest.raises(UsageError, match=r"parameter lest.*least"):
        ask(clean, sql_detector(), lest=5)


def test_too_little_data_is_a_refusal_with_its_reason(clean: data.Shop) -> None:
    found = clean.detect(ALL[0], ALL[3], pack="shop", as_of=data.on(5))
    assert found.rows == []
    assert [c["state"] for c in found.extras["checked"]] == ["refused", "refused"]
    assert "too few" in found.extras["checked"][0]["reason"]


def test_a_back_test_says_how_often_it_would_have_fired() -> None:
    def outages(c: dict[str, Any], rng: np.random.Generator) -> Any:
        hit = np.isin(c["day"], [90, 91, 105]) & (c["city"] == 0)
        return ~hit | (rng.random(len(hit)) < 0.3)

    with data.shop(data.rows(outages)) as wh:
        rule = ready.metric_anomaly("a", "Off.", metric="orders", by="city", direction="fall")
        found = wh.detect(rule, pack="shop", simulate=True, since=data.on(84), until=data.on(112))
        assert isinstance(found, Findings)
        assert [(row["subject"], row["as_of"]) for row in sorted(found.rows, key=lambda r: r["as_of"])] == [
            ("city=Aachen", data.on(90)), ("city=Aachen", data.on(105))
        ]  # fmt: skip
        (told,) = found.extras["simulated"]
        assert (told["days"], told["raised"], told["repeats"], told["fired_days"]) == (28, 2, 1, 3)
        with pytest.raises(UsageError, match="as_of"):
            wh.detect(Detector("x", "X.", run=lambda wh: []), pack="shop", simulate=True, since="2024-01-01",
                      until="2024-01-02")


def test_the_queue_raises_once_renews_and_keeps_its_cooldown() -> None:
    with data.shop(data.rows(days=30)) as wh:
        rule = sql_detector(cooldown=3)

        def look(index: int) -> list[str]:
            return [row["queue"] for row in ask(wh, rule, as_of=data.on(index), queue=True, least=60)]

        assert look(10) == ["new"] and look(10) == ["open"] and look(11) == ["open"]
        (item,) = wh.findings().rows
        assert (item["state"], item["times"], item["first_seen"], item["last_seen"]) == (
            "open", 2, data.on(10), data.on(11)
        )  # fmt: skip
        assert wh.findings(ack=item["id"][:6], note="looking").rows[0]["state"] == "ack"
        assert look(12) == ["ack"]
        wh.findings(close=[item["id"]])
        assert wh.findings().rows == [] and len(wh.findings("closed")) == 1
        assert look(15) == ["quiet"]
        assert look(20) == ["new"]
        assert len(wh.findings("all")) == 2 and len(wh.findings("open")) == 1
        with pytest.raises(UsageError, match="none of the queue's ids"):
            wh.findings(close="zzz")


def test_every_statement_renders_for_every_engine(clean: data.Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from prodsense.engines.dialect import DIALECTS, render

    asked: list[Any] = []
    query = clean.engine.query

    def recorded(sql: Any, params: Any = None) -> pa.Table:
        asked.append(sql)
        return query(sql, params)

    monkeypatch.setattr(clean.engine, "query", recorded)
    measures = [
        ready.own_history(f"own_{measure}", "X.", table="orders", subject="customer_id", measure=measure,  # type: ignore[arg-type]
                          value="amount" if measure in ("sum", "mean", "distinct") else "", where="amount > 1")
        for measure in ("count", "sum", "mean", "distinct", "days")
    ]  # fmt: skip
    clean.detect(*ALL, *measures, pack="shop")
    clean.explain("done_rate", data.on(50), data.on(57))
    clean.explain("revenue", data.on(50), data.on(57))
    assert len(asked) > 40
    for sql in asked:
        for dialect in DIALECTS:
            render(sql, dialect)
