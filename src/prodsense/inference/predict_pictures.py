"""Forecasts and predictions as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.inference.forecast import Forecast
    from prodsense.inference.predict import Prediction

#: So many times the horizon of the past is drawn.
_PAST = 4


def fan(answer: Forecast, **options: Any) -> Any:
    """The end of the first series' past and its forecast; a total as goal has no line, being no level."""
    from prodsense.charts.predictions import fan as draw

    key = {name: answer.rows[0][name] for name in answer.by}
    ahead = [row for row in answer.rows if all(row[name] == value for name, value in key.items())]
    assert answer.history is not None
    past = [row for row in answer.history.to_pylist() if all(row[name] == value for name, value in key.items())]
    goals = answer.extras.get("goals") or [{}]
    target = goals[0].get("target") if goals[0].get("kind") == "level" else None
    notes = [", ".join(f"{name}: {value}" for name, value in key.items())] if key else []
    unit = answer.units.get("forecast", "")
    options = {"title": answer.title, "notes": notes, "target": target, "unit": unit, **options}
    return draw(past[-max(_PAST * len(ahead), 30) :], ahead, **options)


def picture(answer: Prediction, kind: str = "calibration", **options: Any) -> Any:
    """How well the model is calibrated, or its ``lift``."""
    from prodsense.charts.predictions import calibration, lift

    best = answer.extras["model"]
    if kind == "calibration":
        options = {"title": f"{answer.title}: calibration of {best}", **options}
        return calibration(answer.extras["calibration"], **options)
    if kind == "lift":
        options = {"title": f"{answer.title}: rate by tenth of the score", **options}
        return lift(answer.extras["lift"], base_rate=answer.extras["base_rate"], **options)
    raise UsageError(f"no picture of a prediction named {kind!r}; choose calibration or lift")
