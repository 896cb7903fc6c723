"""The readout of an experiment: what was found, in the order in which it should be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.inference.decision import RULE
from prodsense.metrics.result import Rows, plain

if TYPE_CHECKING:
    from prodsense.inference.analysis import Findings

#: Columns of the printed table; all others are in the JSON.
SHOWN = (
    "metric", "role", "arm", "control_mean", "treatment_mean", "effect", "ci_low", "ci_high", "relative",
    "p_value", "p_adjusted", "verdict",
)


@dataclass(frozen=True, repr=False, eq=False)
class Readout(Rows):
    """Rows are one a metric and arm. `srm`, `decision`, `reasons`, `checks` and `label` stand beside them."""

    name: str = ""
    as_of: datetime | None = None

    @property
    def decision(self) -> str:
        return str(self.extras["decision"])

    @property
    def reasons(self) -> list[str]:
        return list(self.extras["reasons"])

    @property
    def srm(self) -> dict[str, Any]:
        return dict(self.extras["srm"])

    def to_dict(self) -> dict[str, Any]:
        return {
            "experiment": self.name,
            **{key: plain(self.extras[key]) for key in ("srm", "checks")},
            "rows": [plain(row) for row in self.rows],
            **{key: plain(value) for key, value in self.extras.items() if key not in ("srm", "checks")},
            "notes": list(self.notes),
            "as_of": plain(self.as_of),
        }

    def table(self) -> Rows:
        """The rows as they are printed."""
        rows = [{name: row[name] for name in SHOWN if name in row} for row in self.rows]
        for row, full in zip(rows, self.rows, strict=True):
            if full.get("refused"):
                row["verdict"] = f"no result: {full['refused']}"
            elif full.get("guardrail"):
                row["verdict"] = f"{full['guardrail']} (margin {full['margin']})"
        if any(row["role"] == "guardrail" for row in rows) is False and len({row["arm"] for row in rows}) == 1:
            rows = [{k: v for k, v in row.items() if k != "arm"} for row in rows]
        return Rows.from_rows(rows, units={"relative": "share"})

    def heading(self) -> list[str]:
        """The lines before the table: what it is, and whether its split can be trusted."""
        extras = self.extras
        lines = [f"{self.name}: {extras['says']}" if extras.get("says") else self.name]
        lines.append(f"{extras['label']}, {extras['design']} by {extras['unit']}; control {extras['control']}; "
                     + (f"always-valid intervals at {1 - extras['alpha']:.0%}" if extras["sequential"]
                        else f"{1 - extras['alpha']:.0%} intervals, read once"))
        marks = {"ok": "ok", "warning": "WARNING", "broken": "BROKEN"}
        lines += [f"{marks[check['status']]}: {check['check']}: {check['says']}" for check in extras["checks"]]
        return lines

    def closing(self) -> list[str]:
        lines = [f"decision: {self.decision}", *(f"  because {reason}" for reason in self.reasons)]
        return lines + [f"note: {note}" for note in self.notes]

    def print(self, *, file: Any = None, limit: int | None = None) -> None:
        print("\n".join(self.heading()) + "\n", file=file)
        self.table().print(file=file, limit=limit)
        if self.extras.get("segments"):
            print("\nBy segment", file=file)
            self.segments().print(file=file, limit=limit)
        print("\n" + "\n".join(self.closing()), file=file)

    def __str__(self) -> str:
        parts = ["\n".join(self.heading()), str(self.table())]
        if self.extras.get("segments"):
            parts.append(f"By segment\n{self.segments()}")
        return "\n\n".join([*parts, "\n".join(self.closing())])

    __repr__ = __str__

    def segments(self) -> Rows:
        """The effects by segment, as they are printed."""
        names = ("segment", "value", "metric", "arm", "effect", "ci_low", "ci_high", "p_adjusted", "p_interaction",
                 "verdict")
        rows = [{name: row.get(name) for name in names} for row in self.extras["segments"]]
        for row in rows:
            row["value"] = None if row["value"] is None else str(row["value"])
        return Rows.from_rows(rows)

    def chart(self, form: str | None = None, **options: Any) -> Any:
        """The effects with their intervals; ``series`` is the effect over time; else a form of `charts.chart_rows`."""
        from prodsense.inference.pictures import effect_plot, series_plot

        if form == "series":
            return series_plot(self, **options)
        if form in (None, "effects"):
            return effect_plot(self, **options)
        return super().chart(form, **options)

    def page(self) -> Any:
        """The readout as a page: `.save(path)` writes HTML or PNG."""
        from prodsense.inference.pictures import page

        return page(self)

    def save(self, path: str | Path) -> Path:
        """Write the readout: ``.html`` or ``.png`` as a page, ``.json`` as data."""
        target = Path(path)
        if target.suffix.lower() == ".json":
            self.to_json(target, indent=2)
            return target
        saved: Path = self.page().save(target)
        return saved


def readout(findings: Findings, dialect: str = "duckdb") -> Readout:
    """The findings as a result."""
    study = findings.study
    plan = study.plan
    extras = {
        "srm": findings.srm.to_dict(), "checks": findings.checks, "decision": findings.decision,
        "reasons": findings.reasons, "by_arm": findings.by_arm, "rule": RULE,
        "label": plan.label, "design": plan.design, "unit": plan.unit,
        "arms": list(plan.arms), "control": plan.control, "alpha": plan.alpha, "correction": plan.correction,
        "sequential": plan.sequential, "says": plan.says, "facts": dict(study.facts), "segments": findings.segments,
        "series": findings.series, "novelty": findings.novelty,
    }
    return Readout(
        arrow=Rows.from_rows(findings.rows).arrow, extras=extras, notes=tuple(findings.notes), dialect=dialect,
        statements=tuple(findings.statements), title=study.name, name=study.name, as_of=study.as_of,
    )
