"""Who will: probabilities of an outcome for each subject, judged on rows that the model has not seen, with reasons.

A model is always shown beside what it has to beat: the base rate, and one plain rule (for events how long ago the last
one was; for a table the one best feature). Where it does not, the answer says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference.predict_learn import Column, Learner, Model, folds
from prodsense.inference.predict_logit import Logit
from prodsense.inference.predict_read import Frame, read_frame
from prodsense.inference.predict_scores import bins, lift_table, log_losses, scores
from prodsense.metrics.result import Rows, plain

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.inference.predict_logit import Array

#: Fewest subjects of each outcome to learn from, and to judge by.
LEAST = 10
_REASONS = 3
#: So many of the rows shown are given reasons.
_MOST_REASONED = 1000
#: Rows of the training that the reasons of trees are set against.
_BACKGROUND = 200


@dataclass(frozen=True, repr=False, eq=False)
class Prediction(Rows):
    """Rows of a prediction: the subjects most likely first, with ``probability``, ``decile`` and ``reasons``.

    ``extras``: ``metrics`` (a row a model and baseline, on rows not learned from), ``verdict``, ``calibration``,
    ``lift``, ``features`` (weights of a logit), ``label``, ``positives``, ``base_rate``. `scores` holds all subjects,
    `contributions` what each feature adds to the log-odds of each of the first 1,000 rows shown: with ``start`` they
    sum to its log-odds before calibration.
    """

    scores: pa.Table | None = field(default=None)
    contributions: pa.Table | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "notes": list(self.notes), "units": plain(dict(self.units))}

    @property
    def beats(self) -> bool:
        """Whether the model is better than every baseline beyond chance."""
        return bool(self.extras["verdict"]["beats"])

    def chart(self, form: str | None = None, **options: Any) -> Any:
        """The calibration (or with ``kind="lift"`` the lift) of the model, or the rows in a `form`."""
        if form is not None:
            return super().chart(form, **options)
        from prodsense.inference.predict_pictures import picture

        return picture(self, **options)


def predict(
    data: Any, *, label: str | None = None, features: Sequence[str] = (), id: str | None = None, positive: Any = None,
    time: str | None = None, user: str | None = None, event: str | None = None, horizon: object = "28d",
    gap: object = 0, goal: str | None = None, once: bool = False, within: object = None, cutoffs: int = 4,
    as_of: object = None, tz: str = "UTC", where: str = "", learner: str = "logit", penalty: float | None = None,
    bends: bool | None = None, calibrate: str | None = None, validate: str | None = None, folds: int = 5,
    test: float = 0.25, top: int | None = 20, confidence: float = 0.95, seed: int = 0,
) -> Prediction:
    """Predict an outcome of each subject, from a table of subjects (`label`) or from events (`user`, `time`).

    **A table** has a row a subject: `label` is the column of the outcome (`positive` the value that counts, where it
    is not plain), `features` the columns to learn from (default: all that can be), `id` the one that names a subject.
    It is judged by `folds` parts, or, with `time`, by the newest share `test` of the subjects. Rows without a label
    are scored by a model of all the others.

    **Events** (a file, frame, `wh.events`) become subjects at cut-offs (`features.subject_features`): those active
    `within` so many days before one (default: the horizon). The outcome is that nothing of theirs comes in `horizon`
    after `gap` (churn), or that the event `goal` comes (`once`: leaving out who did it before). It is learned from
    earlier cut-offs and judged at the last whose window is over; the subjects of today are scored.

    `learner`: ``logit``, or ``boosting`` (needs the extra methods). A logit's `penalty` on squared weights, and whether
    its lines have `bends` at a feature's quartiles, are chosen by inner folds of the training rows unless given.
    `calibrate`: none (default for logit), platt (default for boosting) or isotonic. `top` rows are returned, all
    scores are in `.scores`.

    Raises UsageError where there are fewer than 10 subjects of an outcome to learn from or to judge by, or no
    feature that varies.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence lies between 0 and 1, not {confidence}")
    if top is not None and top < 1:
        raise UsageError("top is at least 1")
    how = calibrate or ("platt" if learner == "boosting" else "none")
    machine = Learner(learner, penalty, how, seed, bends)
    if label is not None:
        if user or event or goal:
            raise UsageError("label is for a table of subjects, user, event and goal for events: name either")
        frame = read_frame(data, label, features, id=id, positive=positive, time=time, where=where)
        if validate == "time" and time is None:
            raise UsageError("validation by time needs the column of the time (time)")
        newest = validate == "time" or (validate is None and time is not None)
        return _table(frame, machine, newest, folds, test, top, confidence, seed)
    from prodsense.inference.features import cohort_frames

    found = cohort_frames(
        data, user=user, time=time, event=event, horizon=horizon, gap=gap, goal=goal, once=once, within=within,
        cutoffs=cutoffs, as_of=as_of, tz=tz, where=where,
    )
    return _events(found, machine, top, confidence, seed)


def _table(
    frame: Frame, machine: Learner, newest: bool, parts: int, test: float, top: int | None, confidence: float, seed: int
) -> Prediction:
    """Predict a table's outcome."""
    labelled = np.flatnonzero(np.isfinite(frame.y))
    y = frame.y[labelled]
    _enough(y, frame.label, "to learn from")
    columns = [c.take(labelled) for c in frame.columns]
    if newest:
        splits = [_newest(frame, labelled, test)]
        how = f"judged on the newest {len(splits[0][1])} of {len(y)} subjects, learned from those before"
    else:
        if not 2 <= parts <= min(y.sum(), len(y) - y.sum()):
            raise UsageError(f"folds is from 2 to the number of subjects of the rarer outcome, not {parts}")
        everyone = np.arange(len(y))
        splits = [(np.setdiff1d(everyone, part), part) for part in folds(y, parts, seed)]
        how = f"judged on {parts} parts, each by a model of the others"
    judged = _judge(machine, columns, y, splits, "")
    whole = machine.fit(columns, y)
    fresh = np.flatnonzero(~np.isfinite(frame.y))
    # Those whose outcome is known are shown with the score that a model gave which had not seen it.
    if len(fresh):
        shown, model_of = fresh, {0: whole}
        probability, part_of = whole.probability([c.take(fresh) for c in frame.columns]), np.zeros(len(fresh), np.int64)
    else:
        shown = labelled[judged.places]
        probability, part_of, model_of = judged.p, judged.part, dict(enumerate(judged.models))
    outcome = None if len(fresh) else frame.y[shown]
    return _answer(
        frame, shown, probability, outcome, part_of, model_of, whole, judged, columns, y, machine, top, confidence,
        seed, how, "subject" if not frame.id_name else frame.id_name, f"Prediction of {frame.label}", {},
    )


def _events(found: Any, machine: Learner, top: int | None, confidence: float, seed: int) -> Prediction:
    """Predict from cut-offs: earlier ones teach, the last with a known outcome judges, today's are scored."""
    learn, test, today = found.learn, found.test, found.today
    _enough(learn.y, learn.label, "to learn from")
    _enough(test.y, test.label, f"to judge by at {found.extras['test_cutoff']}")
    columns = [_joined(a, b) for a, b in zip(learn.columns, test.columns, strict=True)]
    y = np.concatenate([learn.y, test.y])
    place = np.arange(len(y))
    judged = _judge(machine, columns, y, [(place[: len(learn.y)], place[len(learn.y) :])], "recency_days")
    if not len(today.y):
        raise UsageError(f"nobody was active before {found.extras['score_cutoff']}: there is nobody to score")
    whole = machine.fit(columns, y)
    probability = whole.probability(today.columns)
    many = len(found.extras["train_cutoffs"])
    cuts = "one cut-off" if many == 1 else f"{many} cut-offs"
    how = (
        f"learned from {len(learn.y)} subjects at {cuts},"
        f" judged on {len(test.y)} at {found.extras['test_cutoff']},"
        f" {len(today.y)} scored at {found.extras['score_cutoff']}"
    )
    return _answer(
        today, np.arange(len(today.y)), probability, None, np.zeros(len(today.y), np.int64), {0: whole}, whole, judged,
        columns, y, machine, top, confidence, seed, how, str(today.id_name), f"Prediction of {learn.label}",
        found.extras,
    )


def _joined(a: Column, b: Column) -> Column:
    return replace(a, values=np.concatenate([a.values, b.values]))


def _enough(y: Array, label: str, what: str) -> None:
    hits, misses = int(y.sum()), int(len(y) - y.sum())
    if min(hits, misses) < LEAST:
        raise UsageError(
            f"{label}: {hits} subjects with it and {misses} without {what}; at least {LEAST} of each are needed"
        )


def _newest(frame: Frame, labelled: Any, share: float) -> tuple[Any, Any]:
    """Places of the older and the newest subjects; those of one moment stay together."""
    if not 0 < share < 1:
        raise UsageError(f"test lies between 0 and 1, not {share}")
    assert frame.time is not None
    moments = frame.time[labelled]
    cut = np.sort(moments)[int(len(moments) * (1 - share))]
    old, new = np.flatnonzero(moments < cut), np.flatnonzero(moments >= cut)
    for places, what in ((old, "to learn from"), (new, "to judge by")):
        _enough(frame.y[labelled][places], frame.label, what)
    return old, new


@dataclass(frozen=True)
class _Judged:
    """Probabilities of rows not learned from: their places, outcomes, and those of each baseline."""

    places: Any
    part: Any
    y: Array
    p: Array
    baselines: Mapping[str, Array]
    models: Sequence[Model]
    names: Sequence[str]


def _judge(
    machine: Learner, columns: Sequence[Column], y: Array, splits: Sequence[tuple[Any, Any]], rule: str
) -> _Judged:
    """Fit on each split's first rows and score its second, the model and the baselines alike."""
    places, part, found, base, single, models, names = [], [], [], [], [], [], []
    plain_logit = Learner("logit", 1.0)
    for number, (old, new) in enumerate(splits):
        before, after = [c.take(old) for c in columns], [c.take(new) for c in columns]
        model = machine.fit(before, y[old])
        models.append(model)
        found.append(model.probability(after))
        base.append(np.full(len(new), y[old].mean()))
        which = next((i for i, c in enumerate(columns) if c.name == rule), None)
        if which is None:
            # The rule is chosen by the training rows only.
            losses = [log_losses(y[old], plain_logit.fit([c], y[old]).probability([c])).mean() for c in before]
            which = int(np.argmin(losses))
        names.append(columns[which].name)
        single.append(plain_logit.fit([before[which]], y[old]).probability([after[which]]))
        places.append(new)
        part.append(np.full(len(new), number))
    where = np.concatenate(places)
    title = "recency rule" if rule else f"one feature ({', '.join(dict.fromkeys(names))})"
    return _Judged(
        where, np.concatenate(part), y[where], np.concatenate(found),
        {"base rate": np.concatenate(base), title: np.concatenate(single)}, models, names,
    )


def _answer(
    frame: Frame, shown: Any, probability: Array, outcome: Array | None, part_of: Any, model_of: Mapping[int, Model],
    whole: Model, judged: _Judged, columns: Sequence[Column], y: Array, machine: Learner, top: int | None,
    confidence: float, seed: int, how: str, id_name: str, title: str, more: Mapping[str, Any],
) -> Prediction:
    import pyarrow as pa

    order = np.argsort(-probability, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    decile = 1 + rank * 10 // max(1, len(order))
    columns_of: dict[str, Any] = {id_name: frame.ids.take(pa.array(shown[order]))}
    if outcome is not None:
        columns_of["outcome"] = outcome[order].astype(np.int64)
    columns_of |= {"probability": probability[order], "decile": decile[order]}
    all_scores = pa.table(columns_of)
    some = order if top is None else order[:top]
    texts, lines, starts = _reasons(frame, shown[some], part_of[some], model_of, columns, seed)
    table = all_scores.slice(0, len(some)).append_column("reasons", pa.array(texts, pa.string()))
    parts = pa.table({
        id_name: pa.chunked_array([frame.ids.take(pa.array(shown[some][[i for i, *_ in lines]]))])
        if lines else pa.array([], frame.ids.type),
        "feature": [name for _, name, _, _ in lines], "value": [said for _, _, said, _ in lines],
        "effect": pa.array([effect for *_, effect in lines], pa.float64()),
        "start": pa.array([starts[i] for i, *_ in lines], pa.float64()),
    })  # fmt: skip
    verdict, metrics = _verdict(judged, machine, confidence)
    notes = [how, verdict["says"]]
    per = min(y.sum(), len(y) - y.sum()) / max(1, len(whole.encoder.titles))
    if machine.kind == "logit" and per < 5:
        notes.append(f"{per:.1f} subjects of the rarer outcome a weight are few: the weights are held by the penalty")
    extras: dict[str, Any] = {
        "label": frame.label, "model": machine.kind, "calibrated": machine.calibrate,
        "penalty": whole.core.penalty if isinstance(whole.core, Logit) else None, "base_rate": float(judged.y.mean()),
        "subjects": len(y), "positives": int(y.sum()), "metrics": metrics, "verdict": verdict,
        "calibration": bins(judged.y, judged.p, confidence=confidence),
        "lift": lift_table(judged.y, judged.p, confidence), "features": _weights(whole, confidence), **more,
    }
    return Prediction(
        arrow=table, extras=extras, notes=(*notes, *frame.notes),
        units={"probability": "share"}, dialect=frame.dialect, statements=frame.statements, title=title,
        scores=all_scores, contributions=parts,
    )


def _verdict(judged: _Judged, machine: Learner, confidence: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Whether the model beats each baseline: the mean gain in log loss over the same rows, with its interval."""
    from scipy.stats import norm

    metrics = [{"model": machine.kind, "baseline": False, **scores(judged.y, judged.p, confidence)}]
    z = float(norm.ppf(0.5 + confidence / 2))
    own = log_losses(judged.y, judged.p)
    gains, lost = [], []
    for name, p in judged.baselines.items():
        metrics.append({"model": name, "baseline": True, **scores(judged.y, p, confidence)})
        gain = log_losses(judged.y, p) - own
        mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))
        gains.append({"baseline": name, "gain": mean, "low": mean - z * error, "high": mean + z * error})
        if mean - z * error <= 0:
            lost.append(name)
    area = f"AUC {metrics[0]['auc']:.3f} ({metrics[0]['auc_low']:.3f} to {metrics[0]['auc_high']:.3f})"
    others = ", ".join(f"{m['model']} {m['auc']:.3f}" for m in metrics[1:])
    if lost:
        says = f"{machine.kind} does not beat {' and '.join(lost)} beyond chance; use that instead: {area}; {others}"
        if metrics[0]["auc_low"] > max(0.5, *(m["auc"] for m in metrics[1:])):
            says += "; its order of subjects is better than theirs, its probabilities are not"
    else:
        says = f"{machine.kind} beats its baselines: {area}; {others}"
    return {"beats": not lost, "says": says, "log_loss_gain": gains}, metrics


def _weights(model: Model, confidence: float) -> list[dict[str, Any]]:
    """Weights of a logit with odds ratios; none of trees."""
    from scipy.stats import norm

    if not isinstance(model.core, Logit):
        return []
    z = float(norm.ppf(0.5 + confidence / 2))
    errors = model.core.std_errors[1:]
    rows = []
    for title, weight, error, scale in zip(
        model.encoder.titles, model.core.weights, errors, model.core.scales, strict=True
    ):
        rows.append({
            "feature": title, "weight": float(weight), "std_error": float(error), "low": float(weight - z * error),
            "high": float(weight + z * error), "per_deviation": float(weight * scale),
        })  # fmt: skip
    return sorted(rows, key=lambda row: -abs(row["per_deviation"]))


def _reasons(
    frame: Frame, shown: Any, part_of: Any, model_of: Mapping[int, Model], columns: Sequence[Column], seed: int
) -> tuple[list[str | None], list[tuple[int, str, str, float]], list[float]]:
    """The features that move each row most, as text and as (row, feature, value, effect); where each row starts."""
    texts: list[str | None] = [None] * len(shown)
    lines, starts = [], [0.0] * len(shown)
    rng = np.random.default_rng(seed)
    size = len(columns[0].values)
    sample = np.sort(rng.choice(size, min(_BACKGROUND, size), replace=False))
    background = [c.take(sample) for c in columns]
    for number, model in model_of.items():
        own = np.flatnonzero(part_of[:_MOST_REASONED] == number)
        if not len(own):
            continue
        rows = [c.take(shown[own]) for c in frame.columns]
        effects, start = model.effects(rows, background, seed)
        for i, place in enumerate(own):
            starts[place] = start
            largest = np.argsort(-np.abs(effects[i]), kind="stable")
            texts[place] = "; ".join(
                f"{rows[j].name} {rows[j].said(i)} ({effects[i, j]:+.2f})" for j in largest[:_REASONS]
            )
            lines += [(int(place), rows[j].name, rows[j].said(i), float(effects[i, j])) for j in largest]
    return texts, lines, starts
