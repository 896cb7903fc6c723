"""Was the traffic split as planned? Asked before any effect is shown.

A sample ratio that is off by more than chance means that units were lost or doubled on one side, and whatever did
that may have changed the outcomes too (Fabijan and others 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prodsense.errors import UsageError

#: Below this a split is broken; below `WARN` it deserves a look.
BROKEN, WARN = 0.001, 0.01


@dataclass(frozen=True)
class Srm:
    """The chi-square test of the counts against the planned shares: ``ok``, ``warning`` or ``broken``."""

    observed: Mapping[str, int]
    expected: Mapping[str, float]
    statistic: float
    freedom: int
    p_value: float
    status: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def says(self) -> str:
        counts = " / ".join(f"{arm} {count:,}" for arm, count in self.observed.items())
        planned = " / ".join(f"{value:,.0f}" for value in self.expected.values())
        return f"{counts} against {planned} planned: chi-square {self.statistic:.4g}, p = {self.p_value:.3g}"


def srm(observed: Mapping[str, int], shares: Mapping[str, float] | None = None) -> Srm:
    """Test counts of units by arm against the planned shares (equal ones without); arms with share 0 refuse."""
    from scipy.special import chdtrc

    if len(observed) < 2:
        raise UsageError("a split has at least two arms")
    planned = dict(shares or dict.fromkeys(observed, 1.0))
    if set(planned) != set(observed):
        raise UsageError(f"shares are given for {', '.join(planned)}, the arms are {', '.join(observed)}")
    if any(not value > 0 for value in planned.values()):
        raise UsageError("planned shares are above 0")
    total, whole = sum(observed.values()), sum(planned.values())
    if not total:
        raise UsageError("no arm has any unit")
    expected = {arm: total * planned[arm] / whole for arm in observed}
    statistic = sum((observed[arm] - expected[arm]) ** 2 / expected[arm] for arm in observed)
    p_value = float(chdtrc(len(observed) - 1, statistic))
    status = "broken" if p_value < BROKEN else "warning" if p_value < WARN else "ok"
    return Srm(dict(observed), expected, float(statistic), len(observed) - 1, p_value, status)
