"""Named analyses of the delivery pack."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import REQUIRED, Analysis, Param
from prodsense.errors import UsageError
from prodsense.packs.computed import WINDOW, algorithm
from prodsense.packs.declared import funnel_analysis, retention_analysis
from prodsense.packs.delivery.delivery_times import (
    ActionProblem,
    calculate_delivery_times,
    format_delivery_times,
)

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

_algorithm = partial(algorithm, __package__)
_DISPATCHED = (
    Param("instance", "text", None, "Folder of a Meal Delivery Routing Problem instance, or of several; the warehouse's"
          " own orders by default."),
    Param("day", "date", None, "Last day to dispatch; the newest by default."),
    Param("days", "integer", 1, "So many days."),
    Param("couriers", "number", 1.0, "Share of the couriers kept, drawn at random: below 1 is a busier day."),
    Param("ready", "text", "", "known: kitchens announce when food is ready; estimated: nobody knows. By default known"
          " for an instance, estimated for own orders."),
    Param("seed", "integer", 0, "Same seed, same days."),
)
_CONFIDENCE = Param("confidence", "number", 0.95, "Level of the interval; significance is one less it.")


def _times(warehouse: Warehouse, actions: str, travel_matrix: str, location_mapping: str) -> dict[str, Any]:
    problems: list[ActionProblem] = []
    times = calculate_delivery_times(
        _json(actions, "actions", list), _json(travel_matrix, "travel_matrix", list),
        _json(location_mapping, "location_mapping", dict), problems,
    )
    lines = format_delivery_times(times)
    return {
        "rows": [
            {"order_no": str(order_no), "minutes": minutes, "text": line}
            for (order_no, minutes), line in zip(times.items(), lines, strict=True)
        ],
        "problems": [{"action": p.index, "order_no": p.order_no, "problem": p.problem} for p in problems],
    }


def _json(text: str, name: str, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
    """JSON given as text or as the path of a file."""
    given = text.strip()
    if not given.startswith(("[", "{")):
        path = Path(given)
        if not path.is_file():
            raise UsageError(f"{name} is neither JSON nor a file: {given[:80]!r}")
        given = path.read_text(encoding="utf-8")
    try:
        value = json.loads(given)
    except ValueError as error:
        raise UsageError(f"{name} is no valid JSON: {error}") from None
    if not isinstance(value, kind):
        raise UsageError(f"{name} should be a JSON {'list' if kind is list else 'object'}")
    if isinstance(value, list) and name == "actions" and not all(isinstance(action, dict) for action in value):
        raise UsageError("actions should be a JSON list of objects")
    return value


ANALYSES = (
    funnel_analysis(
        "order_funnel",
        "How far orders get from placed to delivered, where the others stop, and how long each step takes.",
        "delivery.order_steps", user="order_id", time="happened_at", event="step",
        steps=("placed", "assigned", "arrived", "picked_up", "delivered"), within="4h",
    ),
    retention_analysis(
        "reorder_retention",
        "Which share of the customers orders again, by days since their first order in the data and week of it.",
        "delivery", grain="week", days=28,
    ),
    _algorithm(
        "batched_delivery_time_effect",
        "Delivery time of batched less individual deliveries at equal distance and preparation time: adjusted"
        " difference, interval, p-values. Observational.",
        "effects",
        Param("controls", "text", "distance,prep", "Out of distance, prep, hour, weekday, restaurant."),
        _CONFIDENCE, *WINDOW,
    ),
    _algorithm(
        "eta_reliability_comparison",
        "Error of the promise, batched beside individual: is it wider (Brown-Forsythe), is it later (Welch)?"
        " Observational.",
        "effects",
        _CONFIDENCE, *WINDOW,
    ),
    _algorithm(
        "batch_adaptation_rating",
        "Drivers rated on mean batched delay over 30 days: under 5 minutes excellent, under 10 good, else"
        " needs_improvement; not rated without batched delays.",
        "effects",
        Param("as_of", "timestamp", None, "End of the 30 days; the newest day by default."),
    ),
    _algorithm(
        "compare_algorithms",
        "The same orders, couriers and kitchens dispatched by each batching algorithm: what customers, drivers and the"
        " platform get, with guardrails against the control. Simulated.",
        "dispatch.compare",
        *_DISPATCHED,
        Param("algorithms", "text", "", "Names, parted by commas; all by default."),
        Param("control", "text", "no_batching", "The algorithm to compare with."),
        Param("tables", "text", None, "Folder to write the dispatched days to, as tables of this pack."),
        kind="analysis",
        standalone=("instance",),
    ),
    _algorithm(
        "dispatch_trial",
        "Which experiment tells the truth about a dispatch algorithm: paired days, day by region, switchback windows or"
        " a split by order, each against the known effect. Simulated.",
        "dispatch.trial",
        *_DISPATCHED,
        Param("control", "text", "no_batching", "The old algorithm."),
        Param("treatment", "text", "matching_rolling_horizon", "The new one."),
        Param("window", "number", 120.0, "Minutes of a switchback's window."),
        Param("burn_in", "number", 30.0, "Minutes dropped at the start of each."),
        Param("repeats", "integer", 5, "Draws of the arms of each live design."),
        _CONFIDENCE,
        kind="analysis",
        standalone=("instance",),
    ),
    Analysis(
        "calculate_delivery_times",
        "Minutes from pickup to drop-off of each order out of driver actions, a travel-time matrix and an index of"
        " locations; each given as JSON or as the path of a JSON file. Actions that cannot be timed are listed under"
        " problems.",
        _times,
        (
            Param("actions", "text", REQUIRED, "List of {driver, location, action_type, order_no}."),
            Param("travel_matrix", "text", REQUIRED, "Minutes from row to column."),
            Param("location_mapping", "text", REQUIRED, "Location to index."),
        ),
        "function",
        standalone=("actions",),
    ),
)
