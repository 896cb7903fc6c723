"""Lineage and static checks, against what a reader of the SQL says."""

from __future__ import annotations

import pytest
from build_shop import shop_models, shop_tables

from prodsense.build import check_models, expression_lineage, lineage, metric_lineage
from prodsense.contracts.vocabulary import Metric
from prodsense.errors import SqlError, UsageError

MODELS = {
    "placed": """
        -- kind: view
        SELECT o.*, c.segment FROM orders AS o LEFT JOIN customers AS c USING (customer_id)
    """,
    "ranked": """
        -- key: order_id
        WITH big AS (SELECT order_id, day, amount AS size FROM placed WHERE segment = 'vip')
        SELECT
            order_id,
            SUM(size) OVER (PARTITION BY day ORDER BY order_id) AS running,
            1 AS one,
            (SELECT MAX(paid) FROM payments AS p WHERE p.order_id = big.order_id) AS best
        FROM big
    """,
    "flows": """
        SELECT day, amount AS cents, 'order' AS what FROM orders
        UNION ALL
        SELECT day, -paid, 'payment' FROM payments
    """,
    "totals": "SELECT day, COUNT(*) AS n, SUM(cents) AS cents FROM flows GROUP BY day",
}


def of(name, texts=MODELS):
    return lineage(f"shop.{name}", shop_models(texts), shop_tables())


def test_columns_go_down_to_contracted_tables_through_views_ctes_windows_and_subqueries():
    assert of("ranked").columns == {
        "order_id": ("shop.orders.order_id",),
        "running": ("shop.orders.amount", "shop.orders.day", "shop.orders.order_id"),
        "one": (),
        "best": ("shop.payments.paid",),  # what only chooses rows (conditions, joins) is no origin
    }


def test_stars_are_written_out():
    assert of("placed").columns == {
        "order_id": ("shop.orders.order_id",),
        "customer_id": ("shop.orders.customer_id",),
        "day": ("shop.orders.day",),
        "amount": ("shop.orders.amount",),
        "segment": ("shop.customers.segment",),
    }


def test_unions_bring_both_sides_and_a_count_brings_no_column():
    found = of("totals")
    assert found.columns == {
        "day": ("shop.orders.day", "shop.payments.day"),
        "n": (),
        "cents": ("shop.orders.amount", "shop.payments.paid"),
    }
    assert found.direct["cents"] == ("shop.flows.cents",)


def test_the_graph_goes_both_ways():
    found = lineage("shop.orders", shop_models(MODELS), shop_tables())
    assert found.kind == "table"
    assert found.upstream == ()
    assert found.downstream == ("shop.flows", "shop.placed", "shop.ranked", "shop.totals")
    assert of("ranked").upstream == ("shop.customers", "shop.orders", "shop.payments", "shop.placed")
    assert ("shop.placed", "shop.ranked") in of("ranked").edges


def test_it_prints_goes_into_json_and_into_mermaid():
    import json

    found = of("totals")
    assert str(found).splitlines()[:6] == [
        "shop.totals (model)",
        "stands on",
        "└─ shop.flows (model)",
        "   ├─ shop.orders (table)",
        "   └─ shop.payments (table)",
        "columns",
    ]
    assert json.loads(json.dumps(found.to_dict()))["columns"]["n"] == []
    text = found.mermaid()
    assert text.startswith("flowchart LR\n")
    assert '[("shop.orders")]' in text
    assert text.count("-->") == 3


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"Did you mean shop\.totals"):
        of("total")


def test_a_metric_is_followed_through_its_condition_and_the_metrics_it_derives_from():
    metrics = {
        m.name: m
        for m in (
            Metric("revenue", "", "cents", "up", "SUM(amount)", source="placed", where="segment = 'vip'"),
            Metric("paid", "", "cents", "up", "SUM(paid)", source="payments"),
            Metric("paid_share", "", "share", "up", "ratio(paid, revenue)"),
        )
    }
    models, tables = shop_models(MODELS), shop_tables()
    found = metric_lineage(metrics["paid_share"], metrics, models, tables, "shop")
    assert found.columns == {
        "paid_share": ("shop.customers.segment", "shop.orders.amount", "shop.payments.paid"),
    }
    assert found.upstream == (
        "shop.customers", "shop.orders", "shop.paid", "shop.payments", "shop.placed", "shop.revenue",
    )
    assert expression_lineage("MAX(running) - MIN(one)", "shop.ranked", models, tables) == (
        "shop.orders.amount", "shop.orders.day", "shop.orders.order_id",
    )
    bad = Metric("bad", "", "cents", "up", "SUM(amuont)", source="placed")
    with pytest.raises(SqlError, match=r"shop\.placed has no column amuont\. Did you mean amount"):
        metric_lineage(bad, metrics, models, tables, "shop")
    loop = {m.name: m for m in (Metric("a", "", "", "up", "b + 1"), Metric("b", "", "", "up", "a + 1"))}
    with pytest.raises(SqlError, match="circle: a → b → a"):
        metric_lineage(loop["a"], loop, models, tables, "shop")


def problems(**texts):
    return check_models(shop_models(texts), shop_tables())


def test_sound_models_have_no_problems():
    assert problems(**MODELS) == ()


def test_each_problem_is_said_with_file_and_line():
    found = problems(typo="-- A comment.\nSELECT\n    amuont\nFROM orders")
    assert len(found) == 1
    assert found[0].startswith("shop/models/typo.sql:3: ")
    assert "Did you mean amount" in found[0]
    found = problems(header="-- key: order_id, dya\n-- time: day\nSELECT order_id, day FROM orders")
    assert found == ("shop/models/header.sql:1: `key` names dya, which is no column of its SELECT. Did you mean day?",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT day FROM nowhere", "no relation named shop.nowhere"),
        ("SELECT day, day FROM orders", "gives two columns the name day"),
        ("SELECT day, COUNT(*) FROM orders GROUP BY day", "has no name"),
        ("-- partition: amount2\nSELECT amount / 2.5 AS amount2 FROM orders", "cannot partition by a"),
        ("-- spread: 2 days\nSELECT day FROM orders", "`spread` means nothing without `partition`"),
        ("-- references: order_id ordrs\nSELECT order_id FROM payments", "Did you mean orders"),
        ("-- references: day daily\nSELECT day FROM orders", "no table or model"),
        ("-- column: dy = the day\nSELECT day FROM orders", "`column` names dy"),
        ("SELECT no_such_macro_(day) AS x FROM orders LIMIT 1 OFFSET", "shop/models/m.sql"),
    ],
)
def test_problems(text, message):
    found = problems(m=text)
    assert found
    assert message in found[0]


def test_a_fault_is_reported_once_and_not_again_by_its_dependants():
    found = problems(one="SELECT amuont FROM orders", two="SELECT * FROM one", three="SELECT * FROM two")
    assert len(found) == 1


def test_a_circle_is_a_problem():
    assert "shop.a → shop.b → shop.a" in problems(a="SELECT * FROM b", b="SELECT * FROM a")[0]
