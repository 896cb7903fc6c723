"""Pictures of compared algorithms: measures side by side, and a map of routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodsense.behavior.result import Answer

#: Measures drawn, with what to call them.
PANELS = (
    ("undelivered", "Undelivered, share of orders"),
    ("click_to_door_censored", "Click to door, minutes (undelivered count 120)"),
    ("delay", "Delay against single delivery, minutes"),
    ("on_time", "On time, share of orders"),
    ("orders_per_batch", "Orders a batch"),
    ("miles_per_delivery", "Miles a delivery"),
    ("utilisation", "Couriers' time in use, share"),
    ("cost_per_order", "Cost an order"),
    ("seconds", "Computing, seconds"),
)


def comparison(answer: Answer, width: int = 250, **_: Any) -> Any:
    """Bars of each measure by algorithm, and below them the map of routes."""
    import altair as alt

    rows = answer.rows
    order = [row["algorithm"] for row in rows]
    panels = []
    for name, title in PANELS:
        data = [{"algorithm": r["algorithm"], "value": r[name]} for r in rows if r[name] is not None]
        panels.append(
            alt.Chart(alt.Data(values=data), title=title).mark_bar().encode(
                y=alt.Y("algorithm:N", sort=order, title=None, axis=alt.Axis(labelLimit=170)),
                x=alt.X("value:Q", title=None, scale=alt.Scale(zero=True)),
                color=alt.condition(
                    alt.datum.algorithm == order[0], alt.value("#9aa0a6"), alt.value("#1f77b4")
                ),
                tooltip=["algorithm:N", alt.Tooltip("value:Q", format=".3f")],
            ).properties(width=width, height=22 * len(order))
        )
    grid = alt.vconcat(*(alt.hconcat(*panels[i : i + 3]) for i in range(0, len(panels), 3)))
    drawn = route_map(answer.extras["routes"], f"Routes of {order[-1]} in its busiest hour", 2 * width)
    return alt.vconcat(grid, drawn) if drawn is not None else grid


def route_map(stops: Sequence[dict[str, Any]], title: str, width: int = 500) -> Any:
    """Lines of trips, colour by orders on board, marks by kind of stop; None without any trip."""
    import altair as alt

    if not stops:
        return None
    x = [s["east_km"] for s in stops]
    y = [s["north_km"] for s in stops]
    wide, high = max(x) - min(x), max(y) - min(y)
    # One kilometre is as long up as across.
    side = max(wide, high, 0.1)
    mid_x, mid_y = (max(x) + min(x)) / 2, (max(y) + min(y)) / 2
    half = side / 2 * 1.05
    base = alt.Chart(alt.Data(values=list(stops)), title=title).encode(
        x=alt.X("east_km:Q", title="km east", scale=alt.Scale(domain=[mid_x - half, mid_x + half], nice=False)),
        y=alt.Y("north_km:Q", title="km north", scale=alt.Scale(domain=[mid_y - half, mid_y + half], nice=False)),
    )
    lines = base.mark_line(opacity=0.7).encode(
        detail="trip:N", order="place:O",
        color=alt.Color("orders:O", title="Orders on the trip", scale=alt.Scale(scheme="viridis")),
    )
    marks = base.mark_point(filled=True, size=45, opacity=0.9).encode(
        shape=alt.Shape("stop:N", title="Stop", scale=alt.Scale(
            domain=["start", "pickup", "drop-off"], range=["circle", "square", "triangle-up"])),
        color=alt.Color("orders:O"),
        tooltip=["trip:N", "courier:N", "stop:N", "minute:Q", "orders:Q"],
    )
    return (lines + marks).properties(width=width, height=width)
