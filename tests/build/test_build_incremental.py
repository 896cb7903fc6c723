"""Incremental builds equal full ones, whatever came in between."""

from __future__ import annotations

from datetime import date, timedelta

from build_shop import MODELS, Shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.build import build, verify

START = date(2024, 1, 1)
STORED = [name for name in MODELS if name != "placed"]

days = st.integers(0, 7).map(lambda n: START + timedelta(n))
order_rows = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 3), days, st.integers(1, 100)), min_size=1, max_size=6
)
payment_rows = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(-1, 1), st.integers(1, 9)), min_size=1, max_size=5
)
customer_rows = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["new", "old", None])), min_size=1, max_size=2)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("orders"), order_rows),
        st.tuples(st.just("payments"), payment_rows),
        st.tuples(st.just("customers"), customer_rows),
        st.tuples(st.just("build"), st.none()),
        st.tuples(st.just("window"), st.tuples(st.integers(0, 7), st.integers(1, 4))),
    ),
    min_size=2, max_size=9,
)


def expected(shop: Shop) -> dict[str, list[tuple]]:
    """The models computed in plain Python from the shop's rows."""
    orders, payments = shop.rows["orders"], shop.rows["payments"]
    segment = {key: row[1] for key, row in shop.rows["customers"].items()}
    daily: dict[date, list[int]] = {}
    slices: dict[tuple, list[int]] = {}
    settled = []
    for order_id, customer, day, amount in orders.values():
        entry = daily.setdefault(day, [0, 0])
        entry[0] += 1
        entry[1] += amount
        part = slices.setdefault((day, segment.get(customer)), [0, 0])
        part[0] += amount > 50
        part[1] += amount
        settled.append((order_id, day, amount, sum(p[3] for p in payments.values() if p[1] == order_id)))
    months: dict[date, int] = {}
    for _, day, _, paid in settled:
        months[day.replace(day=1)] = months.get(day.replace(day=1), 0) + paid
    trailing = [(d, sum(daily[e][1] for e in daily if timedelta(0) <= d - e <= timedelta(2))) for d in daily]
    return {
        "daily": sorted(((d, *v) for d, v in daily.items()), key=repr),
        "by_segment": sorted(((*k, *v) for k, v in slices.items()), key=repr),
        "settled": sorted(settled, key=repr),
        "trailing": sorted(trailing, key=repr),
        "monthly": sorted(months.items(), key=repr),
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_any_sequence_of_loads_and_builds_equals_a_full_build(sequence):
    shop = Shop()
    for action, value in sequence:
        if action == "build":
            assert build(shop.engine, shop.models, shop.tables).ok
        elif action == "window":
            since = START + timedelta(value[0])
            assert build(shop.engine, shop.models, shop.tables, since=since, until=since + timedelta(value[1])).ok
        elif action == "payments":
            # A payment stays within a day of its order, as the model's spread promises; an order that has
            # payments must then stay where it is.
            shop.load("payments", [
                (payment, order, shop.rows["orders"][order][2] + timedelta(off), paid)
                for payment, order, off, paid in value if order in shop.rows["orders"]
            ])
        elif action == "orders":
            held = {row[1] for row in shop.rows["payments"].values()}
            shop.load("orders", [row for row in value if row[0] not in held])
        else:
            shop.load(action, value)
    report = build(shop.engine, shop.models, shop.tables)
    assert report.ok, str(report)
    truth = expected(shop)
    for name in STORED:
        assert shop.content(name) == truth[name], (name, str(report))
    assert verify(shop.engine, shop.models, shop.tables) == {}
    assert {m.mode for m in build(shop.engine, shop.models, shop.tables)} <= {"unchanged", "view"}
    shop.engine.close()
