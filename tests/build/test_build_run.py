"""One build at a time: modes, failures, windows, restatement, state. Expected values are worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from build_shop import MODELS, Shop, shop_models

from prodsense.build import build, restate, status, verify
from prodsense.errors import NotBuiltError, SqlError, UsageError

D1, D2, D3, D4 = (date(2024, 1, n) for n in (1, 2, 3, 4))


@pytest.fixture
def shop():
    found = Shop()
    found.load("customers", [(1, "new"), (2, "old")])
    found.load("orders", [(1, 1, D1, 10), (2, 2, D1, 60), (3, 1, D2, 20), (4, 2, D3, 30)])
    yield found
    found.engine.close()


def run(shop, **options):
    return build(shop.engine, shop.models, shop.tables, **options)


def modes(report):
    return {m.model.removeprefix("shop."): m.mode for m in report}


def use(shop, **texts):
    """Let the shop have these models instead of its own."""
    shop.models = shop_models(texts)


def daily(shop):
    return [(d, int(n), int(a)) for d, n, a in shop.content("daily")]


def test_first_build_is_full_in_order_and_the_next_unchanged(shop):
    report = run(shop)
    order = [m.model.removeprefix("shop.") for m in report]
    assert order.index("placed") < order.index("by_segment")
    assert order.index("daily") < order.index("trailing")
    assert order.index("settled") < order.index("monthly")
    assert modes(report) == {name: "view" if name == "placed" else "full" for name in MODELS}
    assert daily(shop) == [(D1, 2, 70), (D2, 1, 20), (D3, 1, 30)]
    assert report["shop.daily"].rows == 3
    assert modes(run(shop)) == {name: "view" if name == "placed" else "unchanged" for name in MODELS}


def test_a_new_day_builds_that_day_alone(shop):
    run(shop)
    shop.load("orders", [(5, 1, D4, 5)])
    report = run(shop)
    assert modes(report) == {
        "placed": "view", "daily": "incremental", "by_segment": "incremental", "settled": "incremental",
        "trailing": "incremental", "monthly": "full",
    }
    assert report["shop.daily"].partitions == ("2024-01-04",)
    assert report["shop.daily"].rows == 1
    assert report["shop.daily"].total_rows == 4
    assert report["shop.daily"].late == ()
    assert daily(shop)[-1] == (D4, 1, 5)


def test_late_data_restates_its_day_and_says_so(shop):
    run(shop)
    shop.load("orders", [(6, 1, D1, 100)])
    report = run(shop)
    assert report["shop.daily"].partitions == report["shop.daily"].late == ("2024-01-01",)
    assert daily(shop)[0] == (D1, 3, 170)
    # Three trailing days: days 1 to 3 hold the late amount.
    assert report["shop.trailing"].partitions == ("2024-01-01", "2024-01-02", "2024-01-03")
    assert [int(a) for _, a in shop.content("trailing")] == [170, 190, 220]


def test_a_row_that_moves_leaves_its_old_day(shop):
    run(shop)
    shop.load("orders", [(3, 1, D4, 20)])  # the only order of day 2
    report = run(shop)
    assert report["shop.daily"].partitions == ("2024-01-02", "2024-01-04")
    assert [row[0] for row in daily(shop)] == [D1, D3, D4]
    assert report["shop.daily"].total_rows == 3


def test_a_touched_day_without_changes_stops_there(shop):
    run(shop)
    shop.load("orders", [(3, 1, D2, 20)])  # the same row again
    report = run(shop)
    assert report["shop.daily"].mode == "incremental"
    assert report["shop.daily"].partitions == ()
    assert report["shop.trailing"].mode == "unchanged"


def test_a_change_of_a_table_without_partition_rebuilds_what_reads_it_through_a_view(shop):
    run(shop)
    shop.load("customers", [(1, "vip")])
    report = run(shop)
    assert modes(report) == {
        "placed": "view", "by_segment": "full", "daily": "unchanged", "settled": "unchanged",
        "trailing": "unchanged", "monthly": "unchanged",
    }
    assert "shop.customers" in report["shop.by_segment"].reason
    assert (D1, "vip", 0, 10) in [(d, s, b, int(a)) for d, s, b, a in shop.content("by_segment")]


def test_a_changed_definition_rebuilds_it_and_its_dependants(shop):
    run(shop)
    shop.models = shop_models({**MODELS, "daily": MODELS["daily"].replace("SUM(amount)", "2 * SUM(amount)")})
    report = run(shop)
    assert report["shop.daily"].mode == "full"
    assert report["shop.daily"].reason == "its definition changed"
    assert report["shop.trailing"].mode == "full"
    assert report["shop.by_segment"].mode == "unchanged"
    assert [int(a) for _, _, a in shop.content("daily")] == [140, 40, 60]


def test_a_changed_view_rebuilds_what_looks_through_it(shop):
    run(shop)
    shop.models = shop_models({**MODELS, "placed": MODELS["placed"].replace("o.amount,", "o.amount + 1 AS amount,")})
    report = run(shop)
    assert report["shop.by_segment"].mode == "full"
    assert sum(int(a) for *_, a in shop.content("by_segment")) == 120 + 4


def test_comments_and_layout_are_no_change(shop):
    run(shop)
    shop.models = shop_models({**MODELS, "daily": MODELS["daily"].replace("SELECT", "-- said better\n  SELECT\n ")})
    assert run(shop)["shop.daily"].mode == "unchanged"


def test_a_failure_keeps_the_last_version_skips_dependants_and_spares_others(shop):
    run(shop)
    broken = MODELS["daily"].replace("SUM(amount)", "CAST('x' || SUM(amount) AS INT)")
    shop.models = shop_models({**MODELS, "daily": broken})
    shop.load("orders", [(7, 1, D4, 7)])
    report = run(shop)
    assert not report.ok
    assert report["shop.daily"].mode == "failed"
    assert report["shop.trailing"].mode == "skipped"
    assert report["shop.trailing"].reason == "shop.daily failed"
    assert report["shop.settled"].mode == "incremental"
    assert daily(shop) == [(D1, 2, 70), (D2, 1, 20), (D3, 1, 30)]
    states = status(shop.engine, shop.models, shop.tables)
    assert states["shop.daily"].stale
    assert "Could not convert" in states["shop.daily"].error
    shop.models = shop_models()
    assert run(shop).ok
    assert daily(shop)[-1] == (D4, 1, 7)
    assert [int(a) for _, a in shop.content("trailing")] == [70, 90, 120, 57]


def test_what_does_not_parse_or_reads_nothing_known_fails_alone(shop):
    use(shop, good=MODELS["daily"], typo="SELECT day FROM order", bad="SELECT FROM WHERE", clock="SELECT now() AS n")
    report = run(shop)
    assert modes(report) == {"good": "full", "typo": "failed", "bad": "failed", "clock": "failed"}
    use(shop, typo="SELECT day FROM ordrs")
    assert "no relation named shop.ordrs. Did you mean shop.orders" in run(shop)["shop.typo"].reason


def test_a_circle_is_named(shop):
    use(shop, a="SELECT * FROM b", b="SELECT * FROM c", c="SELECT * FROM a")
    with pytest.raises(SqlError, match=r"shop\.a → shop\.b → shop\.c → shop\.a"):
        run(shop)


def test_a_window_builds_its_days_and_leaves_the_others_pending(shop):
    run(shop)
    shop.load("orders", [(8, 1, D1, 1), (9, 1, D2, 2), (10, 1, D3, 3)])
    report = run(shop, since="2024-01-02", until="2024-01-03")
    assert report["shop.daily"].partitions == ("2024-01-02",)
    assert report["shop.daily"].pending == ("2024-01-01", "2024-01-03")
    assert daily(shop) == [(D1, 2, 70), (D2, 2, 22), (D3, 1, 30)]
    assert status(shop.engine, shop.models, shop.tables)["shop.daily"].pending == ("2024-01-01", "2024-01-03")
    report = run(shop)
    assert report["shop.daily"].partitions == ("2024-01-01", "2024-01-03")
    assert daily(shop) == [(D1, 3, 71), (D2, 2, 22), (D3, 2, 33)]
    assert verify(shop.engine, shop.models, shop.tables) == {}


def test_a_first_build_in_a_window_holds_that_window(shop):
    use(shop, daily=MODELS["daily"])
    report = run(shop, since=D2, until=D3)
    assert daily(shop) == [(D2, 1, 20)]
    assert report["shop.daily"].pending == ("2024-01-01", "2024-01-03")
    run(shop)
    assert daily(shop) == [(D1, 2, 70), (D2, 1, 20), (D3, 1, 30)]


def test_an_empty_window_is_refused(shop):
    with pytest.raises(UsageError, match="holds no day"):
        run(shop, since=D2, until=D2)
    with pytest.raises(UsageError, match="since: 'yesterday' is no date"):
        run(shop, since="yesterday")


def test_full_builds_everything_anew(shop):
    run(shop)
    shop.engine.execute("UPDATE shop.daily SET amount = 0")
    assert run(shop)["shop.daily"].mode == "unchanged"
    report = run(shop, full=True)
    assert modes(report) == {name: "view" if name == "placed" else "full" for name in MODELS}
    assert daily(shop)[0] == (D1, 2, 70)


def test_full_in_a_window_leaves_other_days_as_they_are(shop):
    run(shop)
    shop.engine.execute("UPDATE shop.daily SET amount = 0")
    run(shop, full=True, since=D2, until=D3)
    assert daily(shop) == [(D1, 2, 0), (D2, 1, 20), (D3, 1, 0)]


def test_only_builds_the_named_and_what_they_stand_on(shop):
    report = run(shop, only=["shop.trailing"])
    assert modes(report) == {"daily": "full", "trailing": "full"}
    with pytest.raises(UsageError, match=r"no model named shop.dayly. Did you mean shop.daily"):
        run(shop, only=["shop.dayly"])


def test_restate_says_what_changed_in_the_model_and_its_dependants(shop):
    run(shop)
    shop.engine.execute("UPDATE shop.daily SET amount = 0 WHERE day <= DATE '2024-01-02'")
    report = restate(shop.engine, shop.models, shop.tables, "shop.daily", D2, D3)
    entries = {m.model: m for m in report}
    assert list(entries) == ["shop.daily", "shop.trailing"]
    one = entries["shop.daily"]
    assert (one.mode, one.partitions, one.before, one.after, one.changed) == ("incremental", ("2024-01-02",), 1, 1, 1)
    assert daily(shop) == [(D1, 2, 0), (D2, 1, 20), (D3, 1, 30)]
    # The spread of two days reaches either way, so all three are computed out of what `daily` now says.
    assert [int(a) for _, a in shop.content("trailing")] == [0, 20, 50]


def test_restate_of_what_was_never_built_or_is_a_view_is_refused(shop):
    with pytest.raises(NotBuiltError, match="prodsense build"):
        restate(shop.engine, shop.models, shop.tables, "shop.daily", D1, D2)
    with pytest.raises(UsageError, match="is a view"):
        restate(shop.engine, shop.models, shop.tables, "shop.placed", D1, D2)


def test_a_row_without_partition_is_refused(shop):
    use(shop, m="-- partition: day\nSELECT NULLIF(day, DATE '2024-01-03') AS day, order_id FROM orders")
    report = run(shop)
    assert report["shop.m"].mode == "failed"
    assert "day is NULL in 1 rows" in report["shop.m"].reason
    assert "shop.m" not in shop.engine.relations()


def test_a_row_without_partition_is_refused_by_an_incremental_build_too(shop):
    use(shop, m="-- partition: day\nSELECT NULLIF(day, DATE '2024-01-04') AS day, order_id FROM orders")
    assert run(shop).ok
    shop.load("orders", [(11, 1, D4, 1)])
    assert "day is NULL in 1 rows" in run(shop)["shop.m"].reason
    assert len(shop.content("m")) == 4


def test_a_spread_too_small_for_a_join_is_found_at_the_full_build(shop):
    # An order of day 1 is paid on day 2: without `spread` that payment is not seen when day 1 is built alone.
    shop.load("payments", [(1, 1, D2, 10), (2, 2, D2, 60)])
    use(shop, settled=MODELS["settled"].replace("-- spread: 1 day", ""))
    report = run(shop)
    assert "spread of 0 days is too small" in report["shop.settled"].reason
    shop.load("payments", [(3, 3, D3, 20)])
    report = run(shop)
    assert report["shop.settled"].mode == "full"
    assert verify(shop.engine, shop.models, shop.tables) == {}


def test_a_spread_too_small_for_where_rows_fall_falls_back_to_a_full_build(shop):
    use(shop, moved="-- partition: day\nSELECT add_days(day, amount / 1000) AS day, order_id FROM orders")
    assert run(shop).ok
    shop.load("orders", [(12, 1, D2, 3000)])  # falls three days later
    report = run(shop)
    assert report["shop.moved"].mode == "full"
    assert "falls on partition 2024-01-05" in report["shop.moved"].reason
    assert (date(2024, 1, 5), 12) in shop.content("moved")


def test_a_source_with_a_partition_of_another_kind_is_read_whole(shop):
    use(
        shop,
        grouped="-- partition: segment\nSELECT COALESCE(segment, '') AS segment, COUNT(*) AS n FROM placed GROUP BY 1",
        placed=MODELS["placed"],
    )
    run(shop)
    shop.load("orders", [(13, 1, D4, 1)])
    report = run(shop)
    assert report["shop.grouped"].mode == "full"
    assert shop.content("grouped") == [("new", 3), ("old", 2)]


def test_text_partitions_follow_text_partitions(shop):
    use(
        shop,
        kinds="""
            -- partition: size
            SELECT CASE WHEN amount > 25 THEN 'b''ig' ELSE 'small' END AS size, order_id FROM orders
        """,
        counts="-- partition: size\nSELECT size, COUNT(*) AS n FROM kinds GROUP BY size",
    )
    run(shop)
    shop.load("orders", [(14, 1, D4, 99)])
    run(shop)
    assert shop.content("counts") == [("b'ig", 3), ("small", 2)]


def test_a_star_follows_new_columns_of_its_source(shop):
    use(shop, first="SELECT day, amount FROM orders", second="SELECT * FROM first")
    run(shop)
    use(shop, first="SELECT day, amount, order_id FROM orders", second="SELECT * FROM first")
    run(shop)
    assert list(shop.engine.columns("shop.second")) == ["day", "amount", "order_id"]


def test_a_table_may_become_a_view_and_back(shop):
    use(shop, m="SELECT day FROM orders")
    run(shop)
    use(shop, m="-- kind: view\nSELECT day FROM orders")
    assert modes(run(shop)) == {"m": "view"}
    assert shop.engine.relations()["shop.m"] == "view"
    use(shop, m="SELECT day FROM orders")
    assert modes(run(shop)) == {"m": "full"}
    assert shop.engine.relations()["shop.m"] == "table"


def test_a_view_follows_the_types_of_what_it_reads(shop):
    view = "-- kind: view\nSELECT x FROM base"
    use(shop, base="SELECT order_id AS x FROM orders WHERE order_id = 1", seen=view)
    run(shop)
    use(shop, base="SELECT 'text' AS x FROM orders WHERE order_id = 1", seen=view)
    assert run(shop).ok
    assert shop.content("seen") == [("text",)]


def test_names_of_ctes_and_aliases_do_not_hide_tables(shop):
    use(
        shop,
        m="""
            -- partition: day
            WITH orders AS (SELECT day, amount FROM shop.orders WHERE amount > 15)
            SELECT orders.day, SUM(orders.amount) AS amount FROM orders
            WHERE EXISTS (SELECT 1 FROM shop.orders AS o WHERE o.day = orders.day) GROUP BY orders.day
        """,
    )
    run(shop)
    shop.load("orders", [(15, 1, D4, 16)])
    assert run(shop)["shop.m"].mode == "incremental"
    assert [(d, int(a)) for d, a in shop.content("m")] == [(D1, 60), (D2, 20), (D3, 30), (D4, 16)]


def test_status_is_cheap_truth_about_what_the_next_build_will_do(shop):
    before = status(shop.engine, shop.models, shop.tables)
    assert all(s.never_built for s in before.values())
    run(shop)
    assert {s.state for s in status(shop.engine, shop.models, shop.tables).values()} == {"fresh"}
    shop.load("orders", [(16, 1, D4, 1)])
    after = status(shop.engine, shop.models, shop.tables)
    assert after["shop.daily"].pending == ("2024-01-04",)
    assert after["shop.trailing"].stale
    assert after["shop.monthly"].whole
    assert after["shop.placed"].state == "fresh"
    some = status(shop.engine, shop.models, shop.tables, only=["shop.trailing"])
    assert list(some) == ["shop.daily", "shop.trailing"]


def test_a_report_prints_and_goes_into_json(shop):
    import json

    report = run(shop)
    assert "shop.daily: full; 3 rows" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["models"][0]["mode"] == "view"


def test_progress_is_told_before_each_model(shop):
    seen = []
    run(shop, progress=lambda name, position, total: seen.append((name, position, total)))
    assert [position for _, position, _ in seen] == list(range(len(MODELS)))
    assert {total for *_, total in seen} == {len(MODELS)}


def test_decimals_survive_an_incremental_build_exactly(shop):
    use(shop, m="-- partition: day\nSELECT day, SUM(CAST(amount AS DECIMAL(18, 4)) / 8) AS x FROM orders GROUP BY day")
    run(shop)
    kind = shop.engine.columns("shop.m")["x"]
    shop.load("orders", [(17, 1, D4, 1)])
    run(shop)
    assert shop.engine.columns("shop.m")["x"] == kind
    assert Decimal(str(shop.content("m")[-1][1])) == Decimal("0.125")
