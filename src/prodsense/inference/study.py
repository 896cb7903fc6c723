"""What is to be analysed: the SELECT that gives units with their arms, and how each metric is read off it.

A declared experiment (`declared`) and any table (`tables`) both become a `Study`; `analysis` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from prodsense.errors import UsageError
from prodsense.inference.estimators import Outcome

Role = Literal["primary", "secondary", "guardrail"]


@dataclass(frozen=True)
class Margin:
    """The most that a guardrail may get worse: in the metric's unit, or as a share of the control's value."""

    size: float
    relative: bool = False

    @classmethod
    def read(cls, given: float | str | Margin, owner: str) -> Margin:
        """``2``, ``"2"`` or ``"5%"``; UsageError for anything that is no size above or at 0."""
        if isinstance(given, Margin):
            return given
        text = str(given).strip()
        relative = text.endswith("%")
        try:
            size = float(text.rstrip("%")) / (100 if relative else 1)
        except ValueError:
            size = -1.0
        if not 0 <= size < float("inf"):
            raise UsageError(f"{owner}: the margin {text!r} should be a number such as 0.5, or a share such as 5%")
        return cls(size, relative)

    def __str__(self) -> str:
        return f"{self.size * 100:g}%" if self.relative else f"{self.size:g}"


@dataclass(frozen=True)
class Measure:
    """A metric of a study: the columns it is read off, what they mean, and what it decides."""

    name: str
    outcome: Outcome
    columns: tuple[str, ...]
    role: Role = "primary"
    better: str = "up"
    unit: str = ""
    margin: Margin | None = None
    covariates: tuple[str, ...] = ()
    #: Set for a quantile of rows (or units): the column of values, and which quantile.
    quantile: float | None = None
    #: The SELECT of ``unit``, ``arm``, ``value`` that a quantile is taken of; empty for the study's own source.
    rows: str = ""


@dataclass(frozen=True)
class Plan:
    """How a study is read: all of it stated before the data is seen."""

    control: str
    arms: tuple[str, ...]
    shares: Mapping[str, float] = field(default_factory=dict)
    alpha: float = 0.05
    correction: str = "holm"
    sequential: bool = False
    tuned_for: float = 5000
    adjustment: Literal["cuped", "lin"] = "cuped"
    min_units: int = 2
    planned_units: int = 0
    design: str = "randomised"
    label: str = "randomised"
    unit: str = "unit"
    says: str = ""

    @property
    def treatments(self) -> tuple[str, ...]:
        return tuple(arm for arm in self.arms if arm != self.control)


@dataclass(frozen=True)
class Study:
    """A SELECT with one row a unit (`source`: columns ``arm``, those of the measures, `cluster`, `strata`,
    `segments`, `day`), its parameters, its measures and its plan.

    `base` says that the SELECT only reads a stored relation. `facts` are counts of units that were left out or
    are odd, `checks` what isolation checks found.
    """

    name: str
    source: str
    measures: tuple[Measure, ...]
    plan: Plan
    params: Mapping[str, Any] = field(default_factory=dict)
    base: bool = False
    cluster: str = ""
    strata: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    day: str = ""
    as_of: datetime | None = None
    facts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    statements: tuple[tuple[Any, Mapping[str, Any]], ...] = ()
    #: For each metric, the effect in later days less that in the first days since assignment.
    novelty: tuple[Measure, ...] = ()
    #: Metrics that cannot be read at all: (name, role, why).
    refused: tuple[tuple[str, Role, str], ...] = ()
