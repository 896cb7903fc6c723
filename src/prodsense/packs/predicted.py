"""Predictions and forecasts as a pack declares them: a named analysis in a few lines.

::

    ANALYSES = (
        prediction_analysis("churn", "Who will not order again.", "delivery", horizon="28d"),
        forecast_analysis("orders_ahead", "Orders of two weeks.", "delivery.total_order_volume", horizon="14"),
    )

The table of a prediction is named as in `declared`; options that are also parameters are their defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Analysis, Param

if TYPE_CHECKING:
    from prodsense.inference.forecast import Forecast
    from prodsense.inference.predict import Prediction
    from prodsense.warehouse import Warehouse


def prediction_analysis(
    name: str, says: str, table: str, *, user: str = "", time: str = "", event: str = "", where: str = "",
    horizon: str = "28d", learner: str = "logit", **options: Any,
) -> Analysis:
    """Churn, or with `goal` the coming of an event, of the users of an event table (`inference.predict`)."""

    def run(warehouse: Warehouse, **given: Any) -> Prediction:
        from prodsense.inference.predict import predict

        events = warehouse.events(table, user=user or None, time=time or None, event=event or None, where=where)
        return predict(events, **{**options, **{key: value for key, value in given.items() if value is not None}})

    params = (
        Param("horizon", "text", horizon, "How long without an event is churn, or until the goal comes: 28d, 4w."),
        Param("learner", "text", learner, "logit or boosting."),
        Param("top", "integer", options.pop("top", 20), "So many subjects, the likeliest first."),
        Param("as_of", "timestamp", None, "The moment to look from; the newest event by default."),
        Param("tz", "text", options.pop("tz", None), "Time zone of days."),
    )
    return Analysis(name, says, run, params)


def forecast_analysis(
    name: str, says: str, metric: str, *, by: str = "", grain: str = "day", horizon: str = "14",
    where: str | None = None, **options: Any,
) -> Analysis:
    """The forecast of a metric (`inference.forecast`), and with `target` and `target_by` the chance of a goal."""

    def run(warehouse: Warehouse, **given: Any) -> Forecast:
        from prodsense.inference.forecast import forecast_metric

        chosen = {key: value for key, value in given.items() if value is not None}
        slices = [part.strip() for part in chosen.pop("by", "").split(",") if part.strip()]
        answer = warehouse.metric(
            metric, by=slices, grain=chosen.pop("grain"), where=where, tz=chosen.pop("tz", "UTC"),
            as_of=chosen.pop("as_of", None),
        )
        return forecast_metric(answer, **{**options, **chosen})

    params = (
        Param("horizon", "text", horizon, "How far: a number of periods, or 28d, 4w."),
        Param("grain", "text", grain, "day, week, month, quarter or year."),
        Param("by", "text", by, "Dimensions to slice by, parted by commas."),
        Param("target", "number", options.pop("target", None), "A goal."),
        Param("target_by", "date", options.pop("target_by", None), "The day by which it should be reached."),
        Param("target_since", "date", options.pop("target_since", None), "The total counts from this day."),
        Param("as_of", "timestamp", None, "The moment to look from."),
        Param("tz", "text", None, "Time zone of periods."),
    )
    return Analysis(name, says, run, params)
