"""A readout as pictures and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodsense.charts.page import Page
    from prodsense.inference.readout import Readout

_MOODS = {"better": "good", "worse": "bad"}


def effect_plot(readout: Readout, **options: Any) -> Any:
    """Relative effects of all metrics with their intervals, the margins of guardrails as ticks."""
    from prodsense.charts.forest import forest

    several = len({row["arm"] for row in readout.rows}) > 1
    lines = []
    for row in readout.rows:
        guardrail = row["role"] == "guardrail"
        name = row["metric"] + (f" · {row['arm']}" if several else "") + (" (guardrail)" if guardrail else "")
        bounded = row["relative_low"] is not None
        lines.append({
            "name": name, "relative": row["relative"] if bounded else None, "low": row["relative_low"],
            "high": row["relative_high"], "mood": _MOODS.get(row["verdict"] or "", "flat"), "limit": _limit(row),
        })
    level = f"{1 - readout.extras['alpha']:.0%}"
    kind = "always-valid " if readout.extras["sequential"] else ""
    options = {
        "title": readout.title,
        "notes": [f"Treatment over control less 1, with {kind}{level} intervals."],
        **options,
    }
    return forest(lines, "name", "relative", "low", "high", mood="mood", limit="limit", **options)


def _limit(row: dict[str, Any]) -> float | None:
    """A guardrail's margin as a relative effect."""
    if row["margin"] is None or row["control_mean"] in (None, 0):
        return None
    sign = -1.0 if row["better"] == "up" else 1.0
    if row["margin"].endswith("%"):
        return sign * float(row["margin"][:-1]) / 100
    return sign * float(row["margin"]) / abs(row["control_mean"])


def series_plot(readout: Readout, metric: str | None = None, **options: Any) -> Any:
    """The effect on all units so far, day by day; the wider band is always-valid, for those who look each day."""
    from prodsense.charts.forest import course

    rows = readout.extras["series"]
    metric = metric or (rows[0]["metric"] if rows else "")
    shown = [row for row in rows if row["metric"] == metric]
    several = len({row["arm"] for row in shown}) > 1
    unit = next((row["unit"] for row in readout.rows if row["metric"] == metric), "")
    options = {
        "title": f"{metric} by day of assignment",
        "notes": ["All units so far; the narrow band is for one look, the wide one for a look each day."],
        **options,
    }
    return course(
        shown, "day", "effect", "ci_low", "ci_high", outer_low="always_low", outer_high="always_high",
        series="arm" if several else None, unit=unit or "", **options,
    )


def page(readout: Readout) -> Page:
    """The readout as one page, in the order in which it should be read."""
    from prodsense.charts.page import ChartView, Page, SectionView

    extras = readout.extras
    units = {"relative": "share", "relative_low": "share", "relative_high": "share"}
    checks = [{"check": c["check"], "status": c["status"], "found": c["says"]} for c in extras["checks"]]
    sections = [
        SectionView(
            f"Decision: {extras['decision']}", says=f"By the rule stated beforehand: {extras['rule']}.",
            notes=readout.reasons,
        ),
        SectionView(
            "Can it be trusted", says="Checked before any effect is looked at.",
            charts=[ChartView("Checks", rows=checks)],
        ),
        SectionView("Effects", charts=[
            ChartView("Relative effects", chart=effect_plot(readout, title=""), rows=[], units=units),
            ChartView("Scorecard", rows=readout.table().rows, units=units, sql=readout.sql),
        ]),
    ]
    if extras["series"]:
        first = next(row["metric"] for row in extras["series"])
        rows = [row for row in extras["series"] if row["metric"] == first]
        sections.append(SectionView("Over time", charts=[
            ChartView(f"{first} by day", chart=series_plot(readout, title=""), rows=rows)
        ]))
    if extras["segments"]:
        sections.append(SectionView(
            "By segment", says="All slices share the error (Holm); p_interaction asks whether they differ at all.",
            charts=[ChartView("Segments", rows=readout.segments().rows)],
        ))
    return Page(
        readout.title,
        subtitle=f"{extras['says']} {extras['label'].capitalize()}, {extras['design']} by {extras['unit']}.".strip(),
        sections=sections, notes=readout.notes,
    )
