"""From columns to models: encoding that learns from training rows only, the learners, calibration, splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import UnsupportedError, UsageError
from prodsense.inference.predict_logit import Logit, fit_logit, sigmoid
from prodsense.inference.predict_scores import isotonic, log_losses, platt

if TYPE_CHECKING:
    from prodsense.inference.predict_logit import Array

LEARNERS = ("logit", "boosting")
CALIBRATIONS = ("none", "platt", "isotonic")
_INNER = 3
#: A feature with fewer different values has no bends.
_MANY = 12
#: Penalties that the training rows may choose from.
_PENALTIES = (1.0, 10.0, 100.0, 1000.0)
#: So many rows are enough to choose by.
_ENOUGH = 20_000
_RARE = 100


@dataclass(frozen=True)
class Column:
    """A feature: numbers with NaN where unknown, or codes of `levels` (the last is the unknown value's, if any).

    `counts` are read by a linear model as log(1 + x): their effect fades.
    """

    name: str
    values: Array
    levels: tuple[Any, ...] = ()
    counts: bool = False

    def take(self, places: Any) -> Column:
        return Column(self.name, self.values[places], self.levels, self.counts)

    def said(self, place: int) -> str:
        """The value of a row as a reader knows it."""
        value = self.values[place]
        if self.levels:
            level = self.levels[int(value)]
            return "(none)" if level is None else str(level)
        return "unknown" if value != value else f"{value:.6g}"


@dataclass(frozen=True)
class Encoder:
    """Columns as numbers, by what the training rows held. `features` names the feature of each encoded column."""

    linear: bool
    fills: tuple[float, ...]
    bends: tuple[tuple[float, ...], ...]
    holes: tuple[bool, ...]
    kept: tuple[tuple[int, ...], ...]
    features: tuple[int, ...]
    titles: tuple[str, ...]

    @classmethod
    def of(cls, columns: Sequence[Column], linear: bool, bent: bool = False) -> Encoder:
        """Learn fills and levels. A linear model drops one level of each feature and gets a column for what is unknown;
        with `bent` its lines may bend at the quartiles of features with many values."""
        fills: list[float] = []
        bends: list[tuple[float, ...]] = []
        holes: list[bool] = []
        kept: list[tuple[int, ...]] = []
        features: list[int] = []
        titles: list[str] = []
        for place, column in enumerate(columns):
            if column.levels:
                count = np.bincount(column.values.astype(np.int64), minlength=len(column.levels))
                there = [code for code in range(len(column.levels)) if count[code]]
                # The most frequent level is the one that others are set against.
                used = tuple(c for c in there if c != int(count.argmax())) if linear else tuple(there)
                kept.append(used)
                fills.append(0.0)
                bends.append(())
                holes.append(False)
                features += [place] * len(used)
                titles += [f"{column.name}={'(none)' if column.levels[c] is None else column.levels[c]}" for c in used]
                continue
            shaped = _shaped(column, linear)
            known = np.isfinite(shaped)
            hole = bool(linear and not known.all() and known.any())
            fills.append(float(shaped[known].mean()) if known.any() else 0.0)
            holes.append(hole)
            kept.append(())
            knots: tuple[float, ...] = ()
            if linear and bent and len(np.unique(shaped[known])) >= _MANY:
                quartiles = np.unique(np.quantile(shaped[known], (0.25, 0.5, 0.75)))
                # A bend at an end is no bend.
                knots = tuple(q for q in quartiles.tolist() if shaped[known].min() < q < shaped[known].max())
            bends.append(knots)
            features += [place] * (1 + len(knots) + hole)
            raw = [np.expm1(q) if column.counts else q for q in knots]
            titles += [column.name, *(f"{column.name} over {q:.4g}" for q in raw)]
            titles += [f"{column.name} unknown"] if hole else []
        return cls(linear, tuple(fills), tuple(bends), tuple(holes), tuple(kept), tuple(features), tuple(titles))

    def matrix(self, columns: Sequence[Column]) -> Array:
        """Rows as numbers (n × columns)."""
        parts: list[Array] = []
        for column, fill, knots, hole, kept in zip(
            columns, self.fills, self.bends, self.holes, self.kept, strict=True
        ):
            if column.levels:
                parts += [(column.values == code).astype(np.float64) for code in kept]
                continue
            shaped = _shaped(column, self.linear)
            known = np.isfinite(shaped)
            whole = np.where(known, shaped, fill) if self.linear else shaped
            parts += [whole, *(np.maximum(whole - knot, 0.0) for knot in knots)]
            if hole:
                parts.append((~known).astype(np.float64))
        return np.column_stack(parts) if parts else np.zeros((len(columns[0].values) if columns else 0, 0))


def _shaped(column: Column, linear: bool) -> Array:
    if linear and column.counts:
        return np.asarray(np.log1p(np.maximum(column.values, 0.0)))
    return column.values


@dataclass(frozen=True)
class Learner:
    """What learns: ``logit``, or ``boosting`` (histogram trees of scikit-learn), and how it is calibrated.

    Where `penalty` or `bent` is None the training rows choose it, by the log loss over inner folds.
    """

    kind: str = "logit"
    penalty: float | None = 1.0
    calibrate: str = "none"
    seed: int = 0
    bent: bool | None = False

    def __post_init__(self) -> None:
        if self.kind not in LEARNERS:
            raise UsageError(f"no learner named {self.kind!r}; choose one of {', '.join(LEARNERS)}")
        if self.calibrate not in CALIBRATIONS:
            raise UsageError(f"no calibration named {self.calibrate!r}; choose one of {', '.join(CALIBRATIONS)}")

    def fit(self, columns: Sequence[Column], y: Array) -> Model:
        """A model of rows; calibrated on rows that the model so calibrated has not learned from (3 inner folds)."""
        if self.kind == "logit" and (self.penalty is None or self.bent is None):
            return self._chosen(columns, y).fit(columns, y)
        encoder = Encoder.of(columns, self.kind == "logit", bool(self.bent))
        x = encoder.matrix(columns)
        core = self._core(x, y)
        if self.calibrate == "none":
            return Model(encoder, core)
        held = np.empty(len(y))
        for places in folds(y, _INNER, self.seed + 1):
            rest = np.setdiff1d(np.arange(len(y)), places, assume_unique=True)
            held[places] = _log_odds(self._core(x[rest], y[rest]), x[places])
        if self.calibrate == "platt":
            return Model(encoder, core, scale=platt(y, held))
        knots, values = isotonic(held, y)
        # No share of so many rows is certainly 0 or 1.
        return Model(encoder, core, curve=(knots, np.clip(values, 1 / (len(y) + 2), 1 - 1 / (len(y) + 2))))

    def _chosen(self, columns: Sequence[Column], y: Array) -> Learner:
        """This learner with the penalty and form of line that lose least on inner folds."""
        forms = (False, True) if self.bent is None else (self.bent,)
        penalties = _PENALTIES if self.penalty is None else (self.penalty,)
        if len(y) > _ENOUGH:
            some = np.sort(np.random.default_rng(self.seed).choice(len(y), _ENOUGH, replace=False))
            # Of a rare outcome all rows are needed.
            if min(y[some].sum(), len(some) - y[some].sum()) >= _RARE:
                columns, y = [c.take(some) for c in columns], y[some]
        parts = folds(y, _INNER, self.seed + 2)
        losses: dict[tuple[bool, float], float] = {}
        for bent in forms:
            x = Encoder.of(columns, True, bent).matrix(columns)
            for penalty in penalties:
                total = 0.0
                for places in parts:
                    rest = np.setdiff1d(np.arange(len(y)), places, assume_unique=True)
                    p = fit_logit(x[rest], y[rest], penalty).probability(x[places])
                    total += float(log_losses(y[places], p).sum())
                losses[bent, penalty] = total
        bent, penalty = min(losses, key=lambda key: losses[key])
        return replace(self, bent=bent, penalty=penalty)

    def _core(self, x: Array, y: Array) -> Any:
        if self.kind == "logit":
            return fit_logit(x, y, float(self.penalty or 0.0))
        try:
            from sklearn.ensemble import HistGradientBoostingClassifier
        except ImportError:
            raise UnsupportedError(
                "boosting needs scikit-learn: pip install 'prodsense[methods]', or use the learner logit"
            ) from None
        model = HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=120, max_leaf_nodes=8, min_samples_leaf=20, l2_regularization=1.0,
            early_stopping=False, random_state=self.seed,
        )
        with _one_thread():
            return model.fit(x, y.astype(np.int64))


def _one_thread() -> Any:
    """Trees of these sizes lose more by threads that wait for each other than they gain."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _log_odds(core: Any, x: Array) -> Array:
    if isinstance(core, Logit):
        return core.log_odds(x)
    with _one_thread():
        return np.asarray(core.decision_function(x))


@dataclass(frozen=True)
class Model:
    """A fitted learner with its encoder and calibration."""

    encoder: Encoder
    core: Any
    scale: tuple[float, float] | None = None
    curve: tuple[Array, Array] | None = field(default=None)

    def log_odds(self, columns: Sequence[Column]) -> Array:
        """Log-odds before calibration."""
        return _log_odds(self.core, self.encoder.matrix(columns))

    def probability(self, columns: Sequence[Column]) -> Array:
        """Calibrated probabilities."""
        odds = self.log_odds(columns)
        if self.scale is not None:
            odds = self.scale[0] * odds + self.scale[1]
        if self.curve is not None:
            return np.asarray(np.interp(odds, *self.curve))
        return sigmoid(odds)

    def effects(
        self, columns: Sequence[Column], background: Sequence[Column], seed: int = 0
    ) -> tuple[Array, float]:
        """What each feature adds to each row's log-odds (n × features), and the log-odds they start from.

        They sum to the row's log-odds exactly. A linear model's are w·(x - mean), from the mean training row. Of trees
        they are Shapley values against `background` rows, by sampled orders (Štrumbelj & Kononenko 2014).
        """
        x = self.encoder.matrix(columns)
        owner = np.array(self.encoder.features, dtype=np.int64)
        found = np.zeros((len(x), len(columns)))
        if isinstance(self.core, Logit):
            np.add.at(found.T, owner, self.core.parts(x).T)
            return found, float(self.core.log_odds(self.core.means[None])[0])
        behind = self.encoder.matrix(background)
        return shapley(lambda rows: _log_odds(self.core, rows), x, behind, owner, len(columns), seed)


def shapley(
    value: Any, x: Array, background: Array, owner: Any, features: int, seed: int, draws: int = 64
) -> tuple[Array, float]:
    """Shapley values of `value` (rows → numbers) by `draws` random orders and background rows, in pairs of an order
    and its reverse; whatever the number of draws they sum to value(x) less the mean over the background rows drawn."""
    rng = np.random.default_rng(seed)
    chosen = background[rng.integers(0, len(background), draws // 2)]
    orders = [rng.permutation(features) for _ in range(draws // 2)]
    found = np.zeros((len(x), features))
    for row, order in zip(chosen, orders, strict=True):
        for way in (order, order[::-1]):
            mixed = np.repeat(row[None], len(x), axis=0)
            steps = [mixed.copy()]
            for feature in way:
                mixed[:, owner == feature] = x[:, owner == feature]
                steps.append(mixed.copy())
            values = value(np.concatenate(steps)).reshape(features + 1, len(x))
            found[:, way] += np.diff(values, axis=0).T
    return found / (2 * len(orders)), float(np.mean(value(chosen)))


def folds(y: Array, count: int, seed: int) -> list[Any]:
    """Places of `count` random parts with the same share of each outcome."""
    rng = np.random.default_rng(seed)
    part = np.empty(len(y), dtype=np.int64)
    shift = 0
    for outcome in np.unique(y):
        places = rng.permutation(np.flatnonzero(y == outcome))
        part[places] = (np.arange(len(places)) + shift) % count
        shift += len(places)
    return [np.flatnonzero(part == k) for k in range(count)]
