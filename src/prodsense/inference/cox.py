"""Which things shorten or lengthen the time until something happens: Cox's proportional hazards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference.causal_data import covariate_columns, covariate_items, floats, opened
from prodsense.inference.cox_math import (
    NoMaximumError,
    baseline_hazard,
    concordance,
    fit_cox,
    proportional_test,
)
from prodsense.metrics.result import Rows, plain

#: Fewer events a covariate than this are too few to trust (Peduzzi et al. 1995).
_EVENTS_EACH = 10
#: Covariates whose share that the others do not explain is below this repeat them.
_COLLINEAR = 1e-9


@dataclass(frozen=True, repr=False, eq=False)
class Hazards(Rows):
    """Rows of a Cox regression: a covariate each, with ``coefficient``, ``hazard_ratio`` and its interval, ``p_value``
    and ``ph_p_value`` (whether its effect stays the same over time).

    ``extras``: ``log_likelihood``, ``concordance``, ``likelihood_ratio``, ``subjects``, ``events``.
    """

    label: str = "observational"

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "label": self.label, "notes": list(self.notes), "units": plain(dict(self.units))}

    def chart(self, form: str | None = None, **options: Any) -> Any:
        """Coefficients (logarithms of the hazard ratios) with their intervals, or the rows in a `form`."""
        if form is not None:
            return super().chart(form, **options)
        from prodsense.charts.effects import intervals

        options = {"title": self.title, "notes": ["Logarithms of hazard ratios; right of 0: sooner."], **options}
        return intervals(
            [{**r, "log_low": np.log(r["low"]), "log_high": np.log(r["high"])} for r in self.rows], "covariate",
            "coefficient", low="log_low", high="log_high", **options,
        )


def cox(
    data: Any, duration: str, observed: str, covariates: Sequence[str] = (), *, where: str = "",
    confidence: float = 0.95, times: Sequence[float] = (),
) -> Hazards:
    """Cox regression with Efron's ties of a row a subject: `duration` until the end, or until lost from view.

    `observed` is 1 (or true) where the end was seen. Text covariates become one 0/1 column a value, the first left
    out. `times` asks for the survival of the average subject at those times (``extras["survival"]``).

    Raises UsageError where no end was seen, where there are not more events than covariates, and for covariates that
    never vary, repeat others, or tell the ends apart without error.
    """
    from scipy.stats import chi2, norm

    if not 0 < confidence < 1:
        raise UsageError(f"confidence lies between 0 and 1, not {confidence}")
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    if not names:
        raise UsageError("name at least one covariate; for none there is Kaplan-Meier (survival)")
    with opened(data, where) as sample:
        items = {"duration": sample.number(duration, "duration"), "observed": sample.number(observed, "observed"),
                 **covariate_items(sample, names)}  # fmt: skip
        table = sample.rows(items)
        notes = sample.note_left_out(items, list(items), ", ".join([duration, observed, *names]))
        statements, dialect = tuple(sample.statements), sample.engine.dialect
    if not table.num_rows:
        raise UsageError("there are no rows with all of these columns")
    span, ended = floats(table, "duration", duration), floats(table, "observed", observed)
    if span.min() < 0:
        raise UsageError(f"{duration} holds {span.min():g}: a duration is not below 0")
    odd = np.unique(ended[(ended != 0) & (ended != 1)])
    if len(odd):
        raise UsageError(f"{observed} should be 1 where the end was seen and 0 elsewhere; it holds {odd[0]:g}")
    x, titles = covariate_columns(sample, table, names)
    seen = ended == 1
    events = int(seen.sum())
    if not events:
        raise UsageError(f"all {len(seen)} subjects are censored: no end was seen, so nothing can be said of hazards")
    flat = [t for t, low, high in zip(titles, x.min(axis=0), x.max(axis=0), strict=True) if low == high]
    if flat or not titles:
        raise UsageError(f"{', '.join(flat or names)} never varies; leave it out")
    if events <= len(titles):
        raise UsageError(f"{events} events are too few for {len(titles)} covariates")
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    if np.linalg.eigvalsh(z.T @ z / len(z))[0] < _COLLINEAR:
        raise UsageError("some covariates repeat others, so that their effects cannot be told apart; leave one out")
    try:
        fit = fit_cox(x, span, seen)
    except NoMaximumError as error:
        raise UsageError(
            f"{titles[error.column]} tells the ends apart without error: its hazard ratio has no bound; leave it out"
        ) from None
    except np.linalg.LinAlgError:
        raise UsageError("the covariates do not vary among those at risk; leave one out") from None
    errors = np.sqrt(np.diag(fit.covariance))
    z_score = fit.beta / errors
    reach = float(norm.ppf(0.5 + confidence / 2)) * errors
    moved, moved_p = proportional_test(fit, _ranks(fit.times))
    rows: list[dict[str, Any]] = [
        {"covariate": title, "coefficient": float(fit.beta[i]), "std_error": float(errors[i]),
         "hazard_ratio": float(np.exp(fit.beta[i])), "low": float(np.exp(fit.beta[i] - reach[i])),
         "high": float(np.exp(fit.beta[i] + reach[i])), "z": float(z_score[i]),
         "p_value": float(2 * norm.sf(abs(z_score[i]))), "ph_statistic": float(moved[i]),
         "ph_p_value": float(moved_p[i])}
        for i, title in enumerate(titles)
    ]  # fmt: skip
    ratio = 2 * (fit.loglik - fit.loglik_null)
    share, pairs = concordance(span, seen, x @ fit.beta)
    extras: dict[str, Any] = {
        "subjects": len(seen), "events": events, "censored": len(seen) - events, "ties": "efron",
        "log_likelihood": fit.loglik, "log_likelihood_null": fit.loglik_null,
        "likelihood_ratio": {"statistic": ratio, "degrees": len(titles), "p_value": float(chi2.sf(ratio, len(titles)))},
        "score_test": {"statistic": fit.score_null, "degrees": len(titles),
                       "p_value": float(chi2.sf(fit.score_null, len(titles)))},
        "concordance": share, "pairs": pairs, "confidence": confidence,
        "baseline": {"model": "no covariates", "concordance": 0.5, "log_likelihood": fit.loglik_null},
    }  # fmt: skip
    if times:
        extras["survival"] = _survival(x, span, seen, fit.beta, times)
    said = [
        f"observational: {len(seen)} subjects, {events} came to the end; concordance {share:.3f} (0.5 is chance)",
    ]
    if extras["likelihood_ratio"]["p_value"] > 1 - confidence:
        said.append("the covariates together do not beat a model without any beyond chance (likelihood ratio,"
                    f" p = {extras['likelihood_ratio']['p_value']:.3g})")  # fmt: skip
    bad = [row["covariate"] for row in rows if row["ph_p_value"] < 0.05]
    if bad:
        said.append(f"warning: the effect of {', '.join(bad)} moves with time, so that one ratio does not tell it all")
    if events < _EVENTS_EACH * len(titles):
        said.append(f"warning: {events} events for {len(titles)} covariates are few (under {_EVENTS_EACH} each)")
    return Hazards(
        arrow=Rows.from_rows(rows).arrow, extras=extras, notes=(*said, *notes), dialect=dialect,
        statements=statements, title=f"Hazard of the end of {duration}",
    )


def _ranks(times: Any) -> Any:
    from scipy.stats import rankdata

    return rankdata(times)


def _survival(x: Any, span: Any, seen: Any, beta: Any, times: Sequence[float]) -> list[dict[str, Any]]:
    """Survival of the subject with mean covariates at some times; null beyond the last one seen."""
    moments, hazard = baseline_hazard(x - x.mean(axis=0), span, seen, beta)
    found = []
    for time in times:
        place = int(np.searchsorted(moments, time, side="right"))
        value = 1.0 if place == 0 else float(np.exp(-hazard[place - 1]))
        found.append({"time": float(time), "survival": None if time > span.max() else value})
    return found
