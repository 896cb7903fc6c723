"""An explanation as a page: headline, hypotheses, parts, slices, mix and breakdowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodsense.inference.explain_report import Explanation


def page_of(found: Explanation) -> Any:
    """The page; `.save(path)` writes HTML, PNG or PDF."""
    from prodsense.charts.page import ChartView, Page, SectionView, Tile

    extras = found.extras
    unit = found.unit
    better: Any = found.better
    tile = Tile(
        extras["metric"], extras["after"], unit, extras["before"], better, note=f"{extras['from']} to {extras['to']}",
        versus=extras["from"],
    )  # fmt: skip
    facts = [line.strip() for line in found.lines[1:3] if not line.strip().endswith(":")]
    hypotheses = tuple(f"{h['rank']}. {h['says']}" for h in extras["hypotheses"])
    views = []
    if extras["tree"] or len(found):
        views.append(ChartView("Effects", extras["tree_formula"] or "By slice.", found.chart(),
                               extras["tree"] or found.rows, {"effect": unit}))  # fmt: skip
    sections = [SectionView("Why", "; ".join(facts), (tile,), tuple(views), notes=hypotheses)]
    tables = [
        ("Slices", "The smallest set that accounts for the move.", found.narrow().rows),
        ("Rate and mix", "How much changed inside groups, and how much their shifting weights did.", extras["mix"]),
        ("By dimension", "Each dimension alone.", extras["breakdown"]),
        ("Events", "Known events about the onset.", extras["events"]),
    ]
    shares = dict.fromkeys(("share_of_move", "mix_share", "change", "weight_before", "weight_after"), "share")
    units = {"before": unit, "after": unit, "effect": unit, **shares}
    listed = tuple(ChartView(title, says, None, rows, units) for title, says, rows in tables if rows)
    if listed:
        sections.append(SectionView("Where", charts=listed))
    return Page(f"Why {extras['metric']} moved", found.lines[0], tuple(sections), found.notes)
