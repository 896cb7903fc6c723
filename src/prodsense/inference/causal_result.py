"""Estimates: rows that say how far they may be trusted, print, export and draw themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodsense.inference.ols import Array, Joint, p_value, quantile_of
from prodsense.metrics.result import Rows, plain

if TYPE_CHECKING:
    from prodsense.inference.causal_data import Sample

#: How a comparison was obtained. Randomised ones are experiments' own.
QUASI, OBSERVATIONAL = "quasi-experimental", "observational"


@dataclass(frozen=True, repr=False, eq=False)
class Estimate(Rows):
    """Rows of a causal method.

    `label` says how the comparison was obtained, `assumptions` what must hold for it to be an effect, `warnings` what
    in these data speaks against it. ``extras["estimate"]`` is the headline number with its interval.
    """

    method: str = ""
    label: str = QUASI
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    picture: Callable[..., Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "label": self.label,
            "rows": [plain(row) for row in self.rows],
            **{key: plain(value) for key, value in self.extras.items()},
            "assumptions": list(self.assumptions),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "units": dict(self.units),
        }

    @property
    def value(self) -> float:
        """The headline number."""
        return float(self.extras["estimate"]["value"])

    @property
    def std_error(self) -> float | None:
        """Its standard error; None where the method has none."""
        found = self.extras["estimate"]["std_error"]
        return None if found is None else float(found)

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """Its confidence interval."""
        return self.extras["estimate"]["low"], self.extras["estimate"]["high"]

    def chart(self, form: str | None = None, **options: Any) -> Any:
        """An Altair chart of the estimate in its own form, or its rows in the `form` named."""
        if form is not None or self.picture is None:
            return super().chart(form or "bar", **options)
        return self.picture(self, **options)


def numbers(
    value: float, error: float | None, degrees: float = float("inf"), confidence: float = 0.95
) -> dict[str, Any]:
    """An estimate as columns ``estimate``, ``std_error``, ``low``, ``high``, ``p_value``; without an error, nulls."""
    if error is None or not error > 0:
        return {"estimate": value, "std_error": None, "low": None, "high": None, "p_value": None}
    reach = quantile_of(confidence, degrees) * error
    return {
        "estimate": value, "std_error": error, "low": value - reach, "high": value + reach,
        "p_value": p_value(value, error, degrees),
    }


def welch(a: Array, b: Array, confidence: float = 0.95) -> dict[str, Any]:
    """The mean of `a` less that of `b` by Welch's test, as the columns of `numbers`; nulls where neither varies."""
    parts = [float(values.var(ddof=1)) / len(values) for values in (a, b)]
    variance = sum(parts)
    freedom = float("inf")
    if variance > 0:
        freedom = variance**2 / sum(
            part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True)
        )
    return numbers(float(a.mean() - b.mean()), variance**0.5, freedom, confidence)


def headline(name: str, found: Mapping[str, Any], confidence: float, **more: Any) -> dict[str, Any]:
    """The headline number as it stands in ``extras["estimate"]``, from the columns of `numbers`."""
    return {
        "name": name, "value": found["estimate"],
        **{key: found[key] for key in ("std_error", "low", "high", "p_value")}, "confidence": confidence, **more,
    }


def spoken(value: float | None) -> str:
    """A number in a sentence."""
    if value is None or value != value:
        return "unknown"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def spoken_test(test: Joint | None, what: str) -> str:
    """A test in a sentence."""
    if test is None or test.degrees == 0:
        return f"{what}: cannot be tested here"
    verdict = "speaks against it" if test.p_value < 0.05 else "nothing seen, which is no proof"
    return f"{what}: p = {test.p_value:.3g}, {test.degrees} compared ({verdict})"


def estimate(
    sample: Sample, rows: Sequence[Mapping[str, Any]], *, method: str, title: str, label: str,
    main: Mapping[str, Any], extras: Mapping[str, Any], assumptions: Sequence[str], warnings: Sequence[str],
    notes: Sequence[str], picture: Callable[..., Any] | None, units: Mapping[str, str] | None = None,
) -> Estimate:
    """An Estimate whose notes begin with its label and headline, and end with warnings."""
    interval = ""
    if main["low"] is not None:
        interval = f", {main['confidence']:.0%} interval {spoken(main['low'])} to {spoken(main['high'])}"
    if main["p_value"] is not None:
        interval += f", p = {main['p_value']:.3g}"
    said = [f"{label}: {main['name']} {spoken(main['value'])}{interval}", *notes, *(f"warning: {w}" for w in warnings)]
    return Estimate(
        arrow=Rows.from_rows(rows).arrow, extras={"estimate": dict(main), **extras}, notes=tuple(said),
        dialect=sample.engine.dialect, statements=tuple(sample.statements), title=title, method=method, label=label,
        assumptions=tuple(assumptions), warnings=tuple(warnings), picture=picture, units=dict(units or {}),
    )
