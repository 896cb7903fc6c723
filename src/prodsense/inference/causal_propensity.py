"""Observational comparisons: matching and weighting by the propensity score, doubly robust estimates, and balance.

Sources: Rosenbaum & Rubin 1983; weights normalised as in Hirano & Imbens 2001; augmented weighting after Robins,
Rotnitzky & Zhao 1994; overlap weights of Li, Morgan & Zaslavsky 2018; nearest neighbours in the manner of MatchIt (Ho,
Imai, King & Stuart 2011). Errors of weighting and of doubly robust estimates are those of the influence function, the
estimated score and outcome models included; those of matching are clustered by matched set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference import causal_data as cd
from prodsense.inference.causal_result import OBSERVATIONAL, Estimate, estimate, headline, numbers, spoken
from prodsense.inference.ols import Array, Codes, ols

METHODS = ("doubly_robust", "weighting", "matching")
TARGETS = ("treated", "all", "overlap")
ORDERS = ("largest", "smallest", "data")
#: A standardised difference of means above this is imbalance (Austin 2009).
BALANCED = 0.1
#: Scores this near 0 or 1 leave a row without a counterpart.
EDGE = 0.01

ASSUMPTIONS = (
    "No hidden confounder: given the covariates, who was treated is as good as random. Data cannot show this.",
    "Overlap: for every treated row there are untreated ones with like covariates.",
    "Covariates were measured before the treatment and were not changed by it.",
    "No spillover between rows.",
)


@dataclass(frozen=True)
class Score:
    """A logit propensity: each row's `probability`, and its `influence` on the coefficients (rows × coefficients)."""

    probability: Array
    coefficients: Array
    influence: Array


def logit(treated: Array, x: Array) -> Score:
    """Maximum likelihood by Newton's method; UsageError where the covariates tell the arms apart completely."""
    n = len(treated)
    if treated.min() == treated.max():
        raise UsageError("all rows are of one arm: there is nobody to compare with")
    root = np.sqrt((x**2).mean(axis=0))
    names = np.flatnonzero(root == 0)
    if len(names):
        raise UsageError("a covariate is 0 in every row; leave it out")
    z = x / root
    if np.linalg.matrix_rank(z) < z.shape[1]:
        raise UsageError("the covariates repeat each other (one adds up from others); leave one out")
    slope = np.zeros(z.shape[1])
    best = -n * np.log(2)
    for _ in range(60):
        probability = _sigmoid(z @ slope)
        gradient = z.T @ (treated - probability)
        hessian = (z * (probability * (1 - probability))[:, None]).T @ z
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        size = 1.0
        while size > 1e-6:
            trial = slope + size * step
            reached = _likelihood(treated, z @ trial)
            if reached >= best - 1e-12 * abs(best):
                break
            size /= 2
        slope, best = trial, reached
        if np.abs(size * step).max() < 1e-10:
            break
    probability = _sigmoid(z @ slope)
    if np.abs(slope).max() > 1e3 or best > -1e-6 * n or not np.isfinite(slope).all():
        raise UsageError(
            "the covariates tell the treated from the others completely: nobody is comparable; leave out the covariate"
            " that decides the treatment, or choose another comparison"
        )
    information = (z * (probability * (1 - probability))[:, None]).T @ z / n
    if np.linalg.cond(information) > 1e12:
        raise UsageError(
            "the covariates tell nearly all the treated from the others, so that no score can be estimated; use fewer"
        )
    influence = ((treated - probability)[:, None] * z) @ np.linalg.inv(information)
    return Score(probability, slope / root, influence / root)


def _sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(values, -700, 700)))


def _likelihood(treated: Array, index: Array) -> float:
    return float(np.sum(treated * index - np.logaddexp(0, index)))


def propensity(
    data: Any,
    outcome: str,
    *,
    treated: str,
    covariates: str | Sequence[str],
    method: str = "doubly_robust",
    target: str = "treated",
    ratio: int = 1,
    replace: bool = False,
    caliper: float | None = None,
    order: str = "largest",
    trim: float | None = None,
    placebo_outcome: str | None = None,
    where: str = "",
    confidence: float = 0.95,
) -> Estimate:
    """The effect of a treatment that was not assigned at random, adjusted for `covariates` by the propensity score.

    * `treated`: a 0/1 column. `covariates`: columns measured before it; text becomes one 0/1 column a value.
    * `method`: ``weighting`` (normalised weights), ``doubly_robust`` (weights and linear outcome models: right when
      either is), ``matching`` (`ratio` nearest neighbours by the score, with or without `replace`, within `caliper`
      standard deviations of the score; `order` in which the treated choose).
    * `target`: the effect on the ``treated``, on ``all``, or on those in ``overlap`` (weighting only; matching is for
      the treated). `trim`: leave out rows whose score is nearer to 0 or 1 than this.
    * `placebo_outcome`: an outcome measured before the treatment, which it cannot have changed.

    Rows: the estimate, then the plain difference (and, for matching, the difference within pairs without regression).
    Extras: ``estimate``, ``balance`` (standardised mean differences before and after), ``overlap`` (scores, effective
    sizes), ``placebo``. Raises UsageError where the arms cannot be compared.
    """
    _check(method, target, order, ratio, caliper, trim)
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    if not names:
        raise UsageError("name the covariates that decided the treatment; without any this is a plain difference")
    with cd.opened(data, where) as sample:
        items = {"y": sample.number(outcome, "outcome"), "treated": sample.number(treated, "treated")}
        items |= cd.covariate_items(sample, names)
        if placebo_outcome:
            items["placebo"] = sample.number(placebo_outcome, "placebo_outcome")
        needed = list(items)
        notes = sample.note_left_out(items, needed, ", ".join([outcome, treated, *names]))
        table = sample.query(sample.source(items, needed))
        if not table.num_rows:
            raise UsageError(f"{sample.label} has no rows with {', '.join([outcome, treated, *names])}")
        d = cd.zero_one(cd.floats(table, "treated", treated), treated)
        x, titles = cd.covariate_columns(sample, table, names)
        told, told_names = cd.covariate_columns(sample, table, names, whole=True)
        y = cd.floats(table, "y", outcome)
        before = cd.floats(table, "placebo", placebo_outcome or "") if placebo_outcome else None
    flat = [title for title, column in zip(titles, x.T, strict=True) if np.ptp(column) == 0]
    if flat:
        raise UsageError(f"{flat[0]} has one value in all rows; leave it out")
    for arm, said in ((1, "treated"), (0, "untreated")):
        if (d == arm).sum() <= x.shape[1] + 1:
            raise UsageError(
                f"{int((d == arm).sum())} {said} rows cannot carry {x.shape[1]} covariates; use fewer or more rows"
            )
    design = np.column_stack([np.ones(len(x)), x])
    score = logit(d, design)
    if trim is not None:
        kept = (score.probability > trim) & (score.probability < 1 - trim)
        notes.append(f"{int((~kept).sum())} rows with a score beyond {trim:g} and {1 - trim:g} left out")
        d, x, y, design, told = d[kept], x[kept], y[kept], design[kept], told[kept]
        before = before[kept] if before is not None else None
        if min((d == 1).sum(), (d == 0).sum()) <= x.shape[1] + 1:
            raise UsageError(f"too few rows are left within {trim:g} and {1 - trim:g}: the arms hardly overlap")
        score = logit(d, design)
    overlap = overlap_of(d, score.probability)
    matched = None
    if method == "matching":
        matched = match(d, score.probability, ratio=ratio, replace=replace, caliper=caliper, order=order)
        weights = matched.weights
    else:
        weights = weights_of(d, score.probability, target)
    balance = balance_of(d, told, told_names, weights, target)
    warnings = _warnings(balance, overlap, d, weights)
    if matched is not None and matched.alone:
        warnings.append(f"{matched.alone} treated rows without a match are left out: the effect is that on the others")

    def answer(values: Array) -> list[tuple[str, float, float]]:
        if matched is not None:
            return matched_effect(d, x, values, matched)
        if method == "weighting":
            return [("weighting", *weighted_effect(d, values, score, design, target))]
        return [("doubly robust", *robust_effect(d, values, score, design, target))]

    if np.ptp(y) == 0:
        raise UsageError("the outcome has one value in all rows: there is nothing to compare")
    plain = ols(y, np.column_stack([d, np.ones(len(d))]), ["treated", "constant"])
    found = [*answer(y), ("difference of means", float(plain.coefficients[0]), float(plain.std_errors[0]))]
    if not found[0][2] > 0:
        raise UsageError("the outcome has one value in each arm: nothing says how sure one can be")
    rows = [{"estimator": name, **numbers(v, e, confidence=confidence)} for name, v, e in found]
    placebo = None
    if before is not None:
        name, value, error = answer(before)[0]
        placebo = {"outcome": placebo_outcome, "estimator": name, **numbers(value, error, confidence=confidence)}
        chance = placebo["p_value"]
        notes.append(f"placebo outcome {placebo_outcome}: {spoken(value)}, p = {spoken(chance)}; it should be 0")
        if chance is not None and chance < 0.05:
            warnings.append(f"{placebo_outcome} differs although nothing had happened yet: confounders are left")
    else:
        warnings.append("no placebo outcome was tested: name one measured before the treatment (placebo_outcome)")
    main = headline(f"effect on the {target}" if target != "all" else "effect on all", rows[0], confidence)
    worst = max(balance, key=lambda line: abs(line["after"]))
    notes.append(
        f"largest standardised difference: {max(abs(b['before']) for b in balance):.3f} before,"
        f" {abs(worst['after']):.3f} after ({worst['covariate']})"
    )
    extras = {
        "estimator": method, "target": target, "treated": int(d.sum()), "untreated": int((1 - d).sum()),
        "matched": None if matched is None else matched.pairs, "balance": balance, "overlap": overlap,
        "balanced": abs(worst["after"]) <= BALANCED, "placebo": placebo, "outcome": outcome,
    }
    return estimate(
        sample, rows, method="propensity", title="Adjusted comparison", label=OBSERVATIONAL, main=main, extras=extras,
        assumptions=ASSUMPTIONS, warnings=warnings, notes=notes, picture=_picture,
    )


def _check(method: str, target: str, order: str, ratio: int, caliper: float | None, trim: float | None) -> None:
    for given, known, what in ((method, METHODS, "method"), (target, TARGETS, "target"), (order, ORDERS, "order")):
        if given not in known:
            raise UsageError(f"no {what} named {given!r}; choose one of {', '.join(known)}")
    if method == "matching" and target != "treated":
        raise UsageError("matching gives the effect on the treated; for another target use weighting or doubly_robust")
    if method == "doubly_robust" and target == "overlap":
        raise UsageError("the overlap target is for weighting; doubly_robust takes treated or all")
    if ratio < 1:
        raise UsageError(f"ratio is a number of matches, at least 1: {ratio}")
    if caliper is not None and caliper <= 0:
        raise UsageError(f"caliper is a distance above 0: {caliper}")
    if trim is not None and not 0 < trim < 0.5:
        raise UsageError(f"trim lies between 0 and 0.5: {trim}")


def _warnings(
    balance: Sequence[dict[str, Any]], overlap: dict[str, Any], d: Array, weights: Array
) -> list[str]:
    bad = [line for line in balance if abs(line["after"]) > BALANCED]
    found = []
    if bad:
        named = ", ".join(f"{line['covariate']} {line['after']:.2f}" for line in bad)
        found.append(f"unbalanced after adjustment (standardised difference above {BALANCED}): {named}")
    start = [line for line in balance if abs(line["before"]) > BALANCED]
    if start:
        named = ", ".join(f"{line['covariate']} {line['before']:.2f}" for line in start)
        found.append(f"unbalanced before adjustment: {named}; the answer leans on the model for these")
    if overlap["outside"] > 0.05:
        found.append(f"{overlap['outside']:.0%} of the treated have a score that no untreated row reaches")
    if overlap["at_edge"] > 0.05:
        found.append(f"{overlap['at_edge']:.0%} of scores are within {EDGE} of 0 or 1: consider trim")
    for arm, said in ((1, "treated"), (0, "untreated")):
        mine = weights[(d == arm) & (weights > 0)]
        size = float(mine.sum() ** 2 / (mine**2).sum()) if len(mine) else 0.0
        overlap[f"effective_{said}"] = size
        if len(mine) and size < 0.2 * (d == arm).sum() and size < 100:
            found.append(f"{int((d == arm).sum())} {said} rows weigh like {size:.0f}: few decide")
    return found


# -- weights, balance, overlap -----------------------------------------------------------------------------


def weights_of(d: Array, p: Array, target: str) -> Array:
    """Each row's weight: inverse probability for the treated or for all, or overlap weights."""
    if target == "treated":
        return d + (1 - d) * p / (1 - p)
    if target == "all":
        return d / p + (1 - d) / (1 - p)
    return d * (1 - p) + (1 - d) * p


def balance_of(d: Array, x: Array, names: Sequence[str], weights: Array, target: str) -> list[dict[str, Any]]:
    """Standardised mean difference of each covariate before and after, by the SD of the treated (or the pooled one)."""
    lines = []
    on, off = d == 1, d == 0
    for name, column in zip(names, x.T, strict=True):
        spread = column[on].var(ddof=1)
        if target != "treated":
            spread = (spread + column[off].var(ddof=1)) / 2
        scale = float(np.sqrt(spread)) or float(column.std()) or 1.0
        before = column[on].mean() - column[off].mean()
        after = np.average(column[on], weights=weights[on]) - np.average(column[off], weights=weights[off])
        lines.append({"covariate": name, "before": float(before) / scale, "after": float(after) / scale})
    return lines


def overlap_of(d: Array, p: Array) -> dict[str, Any]:
    """How far the scores of the arms cover each other; UsageError where they do not at all."""
    on, off = p[d == 1], p[d == 0]
    if on.min() > off.max():
        raise UsageError(
            f"every treated row has a score above {off.max():.3f}, the highest of the others: there is no overlap to"
            " compare in"
        )
    ends = [0.0, 0.05, 0.5, 0.95, 1.0]
    return {
        "treated_scores": np.quantile(on, ends).tolist(), "untreated_scores": np.quantile(off, ends).tolist(),
        "outside": float((on > off.max()).mean()), "at_edge": float(((p < EDGE) | (p > 1 - EDGE)).mean()),
    }


# -- estimators --------------------------------------------------------------------------------------------


def weighted_effect(d: Array, y: Array, score: Score, design: Array, target: str) -> tuple[float, float]:
    """Difference of weighted means, and its standard error with the score's estimation counted in."""
    p = score.probability
    w = weights_of(d, p, target)
    slope = p * (1 - p)
    # How a weight moves with the score's index.
    move = {
        "treated": (1 - d) * p / (1 - p),
        "all": -d * (1 - p) / p + (1 - d) * p / (1 - p),
        "overlap": -d * slope + (1 - d) * slope,
    }[target]
    means = []
    influence = np.zeros(len(y))
    for arm, sign in ((d, 1.0), (1 - d, -1.0)):
        size = (w * arm).mean()
        level = (w * arm * y).mean() / size
        means.append(level)
        own = w * arm * (y - level)
        tilt = ((move * arm * (y - level))[:, None] * design).mean(axis=0)
        influence += sign * (own + score.influence @ tilt) / size
    return float(means[0] - means[1]), float(np.sqrt((influence**2).mean() / len(y)))


def robust_effect(d: Array, y: Array, score: Score, design: Array, target: str) -> tuple[float, float]:
    """Augmented weighting with linear outcome models, on the treated or on all."""
    if target == "treated":
        from prodsense.inference.causal_staggered import att

        value, influence = att(y, d, design, "doubly_robust")
        return value, float(np.sqrt((influence**2).mean() / len(y)))
    p = score.probability
    total, influence = 0.0, np.zeros(len(y))
    for arm, chance, sign in ((d, p, 1.0), (1 - d, 1 - p, -1.0)):
        gram = (design * arm[:, None]).T @ design / len(y)
        if np.linalg.matrix_rank(gram) < design.shape[1]:
            raise UsageError("a covariate has one value in an arm: the arms cannot be compared on it; leave it out")
        slope = np.linalg.solve(gram, (design * (arm * y)[:, None]).mean(axis=0))
        rest = y - design @ slope
        w = arm / chance
        level = float((design @ slope + w * rest).mean())
        total += sign * level
        # The estimated slope moves the level by 1 − w, the estimated score by the residuals it weighs.
        bend = ((1 - w)[:, None] * design).mean(axis=0)
        tilt = ((-sign * w * (1 - chance) * rest)[:, None] * design).mean(axis=0)
        model = ((arm * rest)[:, None] * design) @ np.linalg.inv(gram)
        influence += sign * (design @ slope + w * rest - level + model @ bend + score.influence @ tilt)
    return total, float(np.sqrt((influence**2).mean() / len(y)))


@dataclass(frozen=True)
class Matched:
    """Matched sets: each row of `treated_rows` with its `control_rows` (set number → row), and weights of all rows."""

    treated_rows: Codes
    control_rows: Codes
    weights: Array
    pairs: int
    alone: int
    reused: bool


def match(
    d: Array, p: Array, *, ratio: int = 1, replace: bool = False, caliper: float | None = None, order: str = "largest"
) -> Matched:
    """Nearest neighbours of each treated row by the score; ties go to the earliest row.

    Without replacement the treated choose one after the other, those with the largest score first (or in `order`).
    """
    on, off = np.flatnonzero(d == 1), np.flatnonzero(d == 0)
    reach = np.inf if caliper is None else caliper * float(p.std(ddof=1))
    if not replace and len(off) < len(on) * ratio:
        raise UsageError(
            f"{len(off)} untreated rows cannot give {ratio} to each of {len(on)} treated; match with replacement"
            " (replace), or weight"
        )
    if order == "largest":
        on = on[np.argsort(-p[on], kind="stable")]
    elif order == "smallest":
        on = on[np.argsort(p[on], kind="stable")]
    ranked = off[np.argsort(p[off], kind="stable")]
    scores = p[ranked]
    nearer = _Nearest(scores, ranked)
    sets, chosen = [], []
    alone = 0
    for row in on:
        found = nearer.take(float(p[row]), ratio, reach, replace)
        if len(found) < 1:
            alone += 1
            continue
        sets += [row] * len(found)
        chosen += found
    if not sets:
        raise UsageError("no treated row has a match within the caliper; widen it")
    rows, controls = np.array(sets), np.array(chosen)
    weights = np.zeros(len(d))
    weights[np.unique(rows)] = 1.0
    share = 1 / np.bincount(rows, minlength=len(d))[rows]
    np.add.at(weights, controls, share)
    return Matched(rows, controls, weights, len(np.unique(rows)), alone, replace)


class _Nearest:
    """The nearest of sorted scores, each used once or again; free neighbours are found by path-compressed links."""

    def __init__(self, scores: Array, rows: Codes) -> None:
        self.scores, self.rows = scores, rows
        # Links to the nearest free place: at or before place i - 1 (0 for none), at or after place i.
        self.before = list(range(len(scores) + 1))
        self.after = list(range(len(scores) + 1))

    def _find(self, links: list[int], place: int) -> int:
        while links[place] != place:
            links[place] = links[links[place]]
            place = links[place]
        return place

    def take(self, score: float, many: int, reach: float, again: bool) -> list[int]:
        found: list[int] = []
        middle = int(np.searchsorted(self.scores, score))
        low, high = middle - 1, middle
        while len(found) < many:
            if not again:
                low, high = self._find(self.before, low + 1) - 1, self._find(self.after, high)
            below = score - self.scores[low] if low >= 0 else np.inf
            above = self.scores[high] - score if high < len(self.scores) else np.inf
            if min(below, above) > reach or not np.isfinite(min(below, above)):
                break
            if below < above or (below == above and self.rows[low] < self.rows[high]):
                place, low = low, low - 1
            else:
                place, high = high, high + 1
            found.append(int(self.rows[place]))
            if not again:
                self.before[place + 1], self.after[place] = place, place + 1
        return found


def matched_effect(d: Array, x: Array, y: Array, matched: Matched) -> list[tuple[str, float, float]]:
    """The mean difference within matched sets, adjusted for what differs still by a regression on the matched rows."""
    rows = np.concatenate([np.unique(matched.treated_rows), np.unique(matched.control_rows)])
    sets = {}
    if matched.reused:
        rest = y - _control_model(d, x, y, matched)
        plain, adjusted = _abadie_imbens(y, rest, matched), _abadie_imbens(rest, rest, matched)
        return [("matching, adjusted", *adjusted), ("matching", *plain)]
    for one, other in zip(matched.treated_rows, matched.control_rows, strict=True):
        sets[int(other)] = sets[int(one)] = int(one)
    codes = np.unique([sets[int(row)] for row in rows], return_inverse=True)[1]
    w = matched.weights[rows]
    root = np.sqrt(w)
    one = np.column_stack([d[rows], np.ones(len(rows))])
    plain_fit = ols(root * y[rows], root[:, None] * one, ["treated", "constant"], errors="cluster", clusters=[codes])
    found = [("matching", float(plain_fit.coefficients[0]), float(plain_fit.std_errors[0]))]
    kept = [i for i in range(x.shape[1]) if np.ptp(x[rows, i]) > 0]
    # Centred on the treated and let differ by arm, the coefficient of the treatment is the effect on the treated.
    centred = x[:, kept] - x[np.unique(matched.treated_rows)][:, kept].mean(axis=0)
    full = np.column_stack([one, centred[rows], centred[rows] * d[rows][:, None]])
    try:
        fit = ols(root * y[rows], root[:, None] * full, [f"c{i}" for i in range(full.shape[1])],
                  errors="cluster", clusters=[codes])  # fmt: skip
    except UsageError:
        return found
    return [("matching, adjusted", float(fit.coefficients[0]), float(fit.std_errors[0])), *found]


def _control_model(d: Array, x: Array, y: Array, matched: Matched) -> Array:
    """What the matched untreated rows' linear model says of each row (Abadie & Imbens 2011, bias correction)."""
    rows = np.unique(matched.control_rows)
    root = np.sqrt(matched.weights[rows])
    design = np.column_stack([np.ones(len(x)), x])
    slope = np.linalg.lstsq(root[:, None] * design[rows], root * y[rows], rcond=None)[0]
    return np.asarray(design @ slope)


def _abadie_imbens(y: Array, rest: Array, matched: Matched) -> tuple[float, float]:
    """Mean difference of matches that may be used again, with the error of Abadie & Imbens 2006 (on the treated).

    `rest` is the outcome less a model of it: an untreated row that serves often brings its noise often.
    """
    sizes = np.bincount(matched.treated_rows, minlength=len(y))
    imputed = np.zeros(len(y))
    np.add.at(imputed, matched.treated_rows, y[matched.control_rows] / sizes[matched.treated_rows])
    on = np.unique(matched.treated_rows)
    gaps = y[on] - imputed[on]
    value = float(gaps.mean())
    rows = np.unique(matched.control_rows)
    used = matched.weights[rows]
    squares = np.bincount(matched.control_rows, 1.0 / sizes[matched.treated_rows] ** 2, len(y))[rows]
    noise = float(np.average((rest[rows] - np.average(rest[rows], weights=used)) ** 2, weights=used))
    extra = float(((used**2 - squares) * noise).sum())
    return value, float(np.sqrt(((gaps - value) ** 2).sum() + max(extra, 0.0)) / len(on))


def _picture(answer: Estimate, **options: Any) -> Any:
    from prodsense.charts.effects import love

    return love(answer.extras["balance"], threshold=BALANCED, **{"title": "Balance of covariates", **options})
