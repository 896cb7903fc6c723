"""Looking at an experiment while it runs, without fooling oneself.

Always-valid: an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476,
equation 9) holds at all times at once, so one may look as often as one likes and stop for any reason.
Group-sequential: a few looks at planned shares of the information, with the error spent by Lan and DeMets (1983);
narrower than always-valid where the looks are known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference.estimators import Effect

#: The number of units at which an always-valid interval is tightest.
TUNED_FOR = 5000


def tuning(alpha: float, tuned_for: float) -> float:
    """The mixture's ρ that makes the sequence tightest at `tuned_for` units (appendix B.2 there)."""
    return math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuned_for)


def always_valid_interval(effect: Effect, tuned_for: float = TUNED_FOR) -> tuple[float, float]:
    """The confidence sequence at this moment."""
    half = always_valid_half(effect.se, effect.control.n + effect.treatment.n, effect.alpha, tuned_for)
    return effect.effect - half, effect.effect + half


def always_valid_half(se: float, n: float, alpha: float, tuned_for: float = TUNED_FOR) -> float:
    """Half its width, for a standard error after `n` units."""
    scale = n * tuning(alpha, tuned_for) ** 2
    return se * math.sqrt(2 * (scale + 1) / scale * math.log(math.sqrt(scale + 1) / alpha))


def always_valid_p(statistic: float, n: float, alpha: float, tuned_for: float = TUNED_FOR) -> float:
    """The p-value that belongs to the sequence: its reciprocal is the mixture's likelihood ratio."""
    scale = n * tuning(alpha, tuned_for) ** 2
    log_evidence = statistic**2 * scale / (2 * (scale + 1)) - 0.5 * math.log(scale + 1)
    return min(1.0, math.exp(-log_evidence)) if log_evidence > 0 else 1.0


def spent(share: float, alpha: float, family: str) -> float:
    """Error spent by a share of the information, two-sided."""
    from scipy.special import ndtr, ndtri

    if share >= 1:
        return alpha
    if family == "obrien-fleming":
        # Each side spends half the error: 2 − 2Φ(z / √t) of it, as the published tables do.
        return float(4 - 4 * ndtr(ndtri(1 - alpha / 4) / math.sqrt(share)))
    if family == "pocock":
        return alpha * math.log(1 + (math.e - 1) * share)
    raise UsageError(f"no spending function named {family!r}; choose obrien-fleming or pocock")


def spending_bounds(
    shares: Sequence[float], alpha: float = 0.05, family: str = "obrien-fleming"
) -> list[float]:
    """Bounds on |z| at looks after these shares of the planned information (rising, the last at most 1).

    The density of the statistic that has not crossed is carried from look to look by numerical integration
    (Armitage, McPherson and Rowe 1969).
    """
    if not shares or any(b <= a for a, b in zip([0.0, *shares], shares, strict=False)) or shares[-1] > 1 + 1e-12:
        raise UsageError("looks are shares of the planned information: rising, above 0, the last at most 1")
    from scipy.optimize import brentq
    from scipy.special import ndtr

    bounds: list[float] = []
    points, weights, density = np.zeros(1), np.ones(1), np.ones(1)
    used, before = 0.0, 0.0
    for share in shares:
        step = math.sqrt(share - before)
        wanted = spent(share, alpha, family) - used
        mass = density * weights

        def crossing(z: float, at: float = share, start=points, of=mass, sd: float = step) -> float:  # type: ignore[no-untyped-def]
            edge = z * math.sqrt(at)
            return float(of @ (ndtr((start - edge) / sd) + ndtr((-edge - start) / sd)))

        # A look so early that nothing is to be spent has no bound worth computing.
        bound = brentq(lambda z, w=wanted, c=crossing: c(z) - w, 0.0, 40.0, xtol=1e-10) if wanted > 1e-15 else 40.0
        bounds.append(float(bound))
        used, before = used + wanted, share
        edge = min(bound, 9.0) * math.sqrt(share)
        nodes, node_weights = np.polynomial.legendre.leggauss(401)
        fresh = nodes * edge
        kernel = np.exp(-0.5 * ((fresh[:, None] - points[None, :]) / step) ** 2) / (step * math.sqrt(2 * math.pi))
        density = kernel @ mass
        points, weights = fresh, node_weights * edge
    return bounds
