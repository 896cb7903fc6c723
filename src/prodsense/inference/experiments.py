"""`experiment`: the readout of an experiment on any table, file or frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.analysis import analyse
from prodsense.inference.multiplicity import METHODS
from prodsense.inference.readout import Readout, readout
from prodsense.inference.tables import Asked, Spec, read_covariates, study_of_table
from prodsense.metrics.result import Rows

if TYPE_CHECKING:
    from prodsense.engines.base import Engine


def _list(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def experiment(
    data: Any,
    *,
    arm: str,
    metrics: str | Sequence[str] = (),
    unit: str = "",
    control: str = "",
    secondary: str | Sequence[str] = (),
    guardrails: Mapping[str, float | str] | Sequence[str] = (),
    lower_is_better: str | Sequence[str] = (),
    covariates: str | Sequence[str] | Mapping[str, Any] = (),
    adjustment: str = "cuped",
    strata: str | Sequence[str] = (),
    cluster: str | Sequence[str] = (),
    segments: str | Sequence[str] = (),
    shares: Mapping[str, float] | None = None,
    time: str = "",
    where: str = "",
    winsorize: float | None = None,
    alpha: float = 0.05,
    correction: str = "holm",
    sequential: bool = False,
    tuned_for: float = 5000,
    planned_units: int = 0,
    min_units: int = 2,
    label: str = "randomised",
    aa: int = 0,
    engine: Engine | None = None,
    title: str = "",
) -> Readout | Rows:
    """Compare the arms of an experiment on units' rows.

    `data` is a file, an Arrow table, a pandas or Polars frame, or, with `engine`, the name of a relation. Each row is
    a unit, or `unit` names who was assigned and rows are added up. A metric is a column (its mean), ``ratio:A/B`` or
    ``quantile:COLUMN@0.9``, with ``NAME=`` in front if wished. `guardrails` map a metric to the most that it may get
    worse, in its unit or as ``"5%"``. `covariates` from before the assignment explain variance away. `cluster` names
    what was assigned as a whole, `strata` what to adjust for. `aa` instead splits the units at random so many times
    and says how often that shows an effect (needs `unit`). Raises UsageError for names that are not there,
    ProdsenseError where an arm has no units; a metric that has no result says why in its row.
    """
    from prodsense.engines import open_engine

    asked = _asked(
        arm=arm, metrics=metrics, unit=unit, control=control, secondary=secondary, guardrails=guardrails,
        lower_is_better=lower_is_better, covariates=covariates, adjustment=adjustment, strata=strata, cluster=cluster,
        segments=segments, shares=shares, time=time, where=where, winsorize=winsorize, alpha=alpha,
        correction=correction, sequential=sequential, tuned_for=tuned_for, planned_units=planned_units,
        min_units=min_units, label=label,
    )
    if engine is not None and isinstance(data, str):
        return _run(engine, data, asked, title, aa)
    from prodsense.metrics.reading import read_data

    own = engine or open_engine(":memory:")
    try:
        with own.temporary(read_data(data)) as relation:
            return _run(own, relation, asked, title or (str(data) if isinstance(data, str | Path) else "the data"), aa)
    finally:
        if engine is None:
            own.close()


def _run(engine: Engine, relation: str, asked: Asked, title: str, aa: int) -> Readout | Rows:
    if aa:
        from prodsense.inference.aa import false_alarms

        if not asked.unit:
            raise UsageError("A/A splits units at random, so it needs to know them (--unit)")
        return false_alarms(engine, study_of_table(engine, relation, asked, title), aa)
    return readout(analyse(engine, study_of_table(engine, relation, asked, title)), engine.dialect)


def _asked(**given: Any) -> Asked:
    """The checked request."""
    if given["correction"] not in METHODS:
        raise UsageError(f"no correction named {given['correction']!r}; choose one of {', '.join(METHODS)}")
    if not 0 < given["alpha"] < 1:
        raise UsageError(f"alpha lies between 0 and 1, not {given['alpha']}")
    if given["adjustment"] not in ("cuped", "lin"):
        raise UsageError(f"adjustment is cuped or lin, not {given['adjustment']!r}")
    if any(not value > 0 for value in (given["shares"] or {}).values()):
        raise UsageError("planned shares are above 0")
    guardrails = given["guardrails"]
    texts = [f"{name}:{margin}" for name, margin in guardrails.items()] if isinstance(guardrails, Mapping) else _list(
        guardrails)
    specs = [*(Spec.read(text) for text in _list(given["metrics"])),
             *(Spec.read(text, "secondary") for text in _list(given["secondary"])),
             *(Spec.read(text, "guardrail") for text in texts)]
    covariates = given["covariates"]
    listed = covariates if isinstance(covariates, Mapping) else _list(covariates)
    names = ("alpha", "correction", "sequential", "tuned_for", "planned_units", "min_units", "label", "adjustment")
    return Asked(
        given["arm"], tuple(specs), given["unit"] or "", given["control"] or "", _list(given["lower_is_better"]),
        read_covariates(listed, specs), _list(given["strata"]), _list(given["cluster"]), _list(given["segments"]),
        dict(given["shares"] or {}), given["time"] or "", given["where"] or "", given["winsorize"],
        {name: given[name] for name in names},
    )
