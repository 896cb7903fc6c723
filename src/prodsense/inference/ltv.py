"""What customers will still buy and spend, for trades without a contract: BG/NBD and gamma-gamma."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.inference.causal_data import Sample, floats, opened
from prodsense.inference.features import days_of
from prodsense.inference.ltv_math import BgNbd, GammaGamma, fit_bgnbd, fit_gamma_gamma
from prodsense.metrics import periods
from prodsense.metrics.result import Rows, plain

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.inference.ltv_math import Array

#: Fewer customers, or customers who came back, tell no parameters.
LEAST, LEAST_AGAIN = 50, 10
#: Frequency and spend that go together more than this break what gamma-gamma assumes.
_TOGETHER = 0.3
_WEEK = 7.0


@dataclass(frozen=True, repr=False, eq=False)
class LifetimeValue(Rows):
    """Customers by what they are worth: ``frequency`` (repeat purchases), ``recency`` and ``age`` (weeks),
    ``p_alive``, ``purchases`` expected within the horizon, and where money is known ``spend`` and ``value``.

    ``extras``: ``parameters``, ``log_likelihood``, ``spend_parameters``, ``total``, and ``judged``: how a model that
    saw only the older days foresaw the newer, beside two plain rules. `scores` holds all customers.
    """

    scores: pa.Table | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "notes": list(self.notes), "units": plain(dict(self.units))}


def ltv(
    data: Any, *, customer: str | None = None, time: str | None = None, amount: str | None = None,
    frequency: str | None = None, recency: str | None = None, age: str | None = None, spend: str | None = None,
    horizon: object = "26w", cut: object = None, where: str = "", top: int | None = 20,
) -> LifetimeValue:
    """Expected purchases (and money) of each customer in the next `horizon` (weeks or days: ``26w``, ``180d``).

    `data` holds purchases (`customer`, `time` and perhaps `amount`; those of one day are one), or a row a customer
    (`frequency` of repeat purchases, `recency` of the last and `age`, both in weeks since the first, perhaps the mean
    `spend` of repeat purchases). Of purchases, a model of the days up to `cut` (default: the horizon before the end) is
    judged by those after it; the answer is that of all days.

    Raises UsageError for fewer than 50 customers or 10 who came back, and for values that contradict each other.
    """
    if top is not None and top < 1:
        raise UsageError("top is at least 1")
    ahead = days_of(horizon, "horizon")
    if ahead < 1:
        raise UsageError("the horizon is at least one day")
    with opened(data, where) as sample:
        if frequency or recency or age:
            if time or amount:
                raise UsageError("name purchases (customer, time, amount) or a summary (frequency, recency, age)")
            found = _summary(sample, customer, frequency, recency, age, spend)
            judged, notes = None, ["not judged: a summary has no later purchases to judge by"]
        else:
            if not (customer and time):
                raise UsageError("name the columns of the customer and the time of purchases (customer, time)")
            found, judged, notes = _purchases(sample, customer, time, amount, ahead, cut)
        statements, dialect = tuple(sample.statements), sample.engine.dialect
    notes = [*notes, *found.notes]
    model = _fit(found)
    money = _money(found, notes)
    x, seen, old = found.x, found.recency, found.age
    alive, bought = model.alive(x, seen, old), model.purchases(x, seen, old, ahead / _WEEK)
    columns: dict[str, Any] = {
        found.name: found.ids, "frequency": x.astype(np.int64), "recency": seen, "age": old, "p_alive": alive,
        "purchases": bought,
    }  # fmt: skip
    if money is not None and found.spend is not None:
        each = money.spend(x, np.where(x > 0, found.spend, 0.0))
        columns |= {"spend": each, "value": bought * each}
    order = np.argsort(-(columns["value"] if money is not None else bought), kind="stable")
    import pyarrow as pa

    scores = pa.table({k: v if isinstance(v, pa.Array) else pa.array(v) for k, v in columns.items()}).take(order)
    extras: dict[str, Any] = {
        "parameters": {"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b},
        "log_likelihood": model.loglik, "customers": len(x), "came_back": int((x > 0).sum()), "horizon_days": ahead,
        "total": {"purchases": float(bought.sum()), "value": float(np.sum(columns["value"])) if money else None},
        "spend_parameters": {"p": money.p, "q": money.q, "gamma": money.gamma} if money else None, "judged": judged,
    }  # fmt: skip
    said = f"{len(x)} customers, {int((x > 0).sum())} came back; {bought.sum():,.0f} purchases expected in {ahead} days"
    return LifetimeValue(
        arrow=scores if top is None else scores.slice(0, top), extras=extras, notes=(said, *notes),
        units={"p_alive": "share"}, dialect=dialect, statements=statements, title="Lifetime value", scores=scores,
    )


@dataclass(frozen=True)
class _Found:
    """Customers: repeat purchases, weeks from the first to the last and to the end, mean spend of repeat ones."""

    name: str
    ids: Any
    x: Array
    recency: Array
    age: Array
    spend: Array | None
    notes: tuple[str, ...] = ()
    later: Array | None = None


def _fit(found: _Found) -> BgNbd:
    again = int((found.x > 0).sum())
    if len(found.x) < LEAST or again < LEAST_AGAIN:
        raise UsageError(
            f"{len(found.x)} customers, {again} of whom came back, are too few for a lifetime value:"
            f" at least {LEAST} and {LEAST_AGAIN} are needed"
        )
    return fit_bgnbd(found.x, found.recency, found.age)


def _money(found: _Found, notes: list[str]) -> GammaGamma | None:
    if found.spend is None:
        return None
    kept = (found.x > 0) & (found.spend > 0)
    odd = int(((found.x > 0) & ~(found.spend > 0)).sum())
    if odd:
        notes.append(f"{odd} customers whose repeat purchases came to nothing are left out of the fit of the spend")
    if int(kept.sum()) < LEAST_AGAIN or np.ptp(found.spend[kept]) == 0:
        raise UsageError("the spend of those who came back is too little known, or always the same: leave it out")
    together = float(np.corrcoef(found.x[kept], found.spend[kept])[0, 1]) if np.ptp(found.x[kept]) else 0.0
    if abs(together) > _TOGETHER:
        notes.append(
            f"warning: frequency and spend go together (r = {together:.2f}), which the model of the spend rules out"
        )
    return fit_gamma_gamma(found.x[kept], found.spend[kept])


def _summary(
    sample: Sample, customer: str | None, frequency: str | None, recency: str | None, age: str | None, spend: str | None
) -> _Found:
    if not (frequency and recency and age):
        raise UsageError("a summary has all of frequency, recency and age")
    names: Mapping[str, str] = {"x": frequency, "t": recency, "old": age, **({"spend": spend} if spend else {})}
    items = {key: sample.number(name, name) for key, name in names.items()}
    needed = ["x", "t", "old"]
    if customer:
        items["id"] = comma([sample.column(customer, "customer")])
        needed.append("id")
    table = sample.rows(items, needed)
    notes = sample.note_left_out(items, needed, ", ".join([frequency, recency, age]))
    if not table.num_rows:
        raise UsageError("there are no customers with all of these columns")
    x, t, old = (floats(table, key, names[key]) for key in ("x", "t", "old"))
    for wrong, says in (
        ((x < 0) | (x != np.round(x)), f"{frequency} counts repeat purchases and is a whole number from 0"),
        ((t < 0) | (t > old + 1e-9), f"{recency} lies between 0 and {age}"),
        ((x == 0) & (t > 0), f"{recency} is 0 where there was no repeat purchase"),
    ):
        if wrong.any():
            raise UsageError(says)
    import pyarrow as pa

    ids = table["id"].combine_chunks() if customer else pa.array(range(len(x)), pa.int64())
    money = table["spend"].to_numpy(zero_copy_only=False).astype(float) if spend else None
    return _Found(customer or "customer", ids, x, t, old, None if money is None else np.nan_to_num(money), tuple(notes))


def _purchases(
    sample: Sample, customer: str, time: str, amount: str | None, ahead: int, cut: object
) -> tuple[_Found, dict[str, Any] | None, list[str]]:
    """All purchases as customers; and how a model of those up to the cut foresaw the others."""
    who = sample.column(customer, "customer")
    moment = sample.moment(time)
    if moment.endswith("AS BIGINT)"):
        raise UsageError(f"{sample.label}: {time} holds numbers, not times")
    items = {"customer": comma([who]), "day": moment}
    if amount:
        items["amount"] = sample.number(amount, "amount")
    needed = list(items)
    given = sample.source(items, needed)
    notes = sample.note_left_out(items, needed, " or ".join(filter(None, (customer, time, amount))))
    span = sample.query(f"WITH given AS ({given}) SELECT MIN(day) AS first, MAX(day) AS last FROM given").to_pylist()[0]
    if span["first"] is None:
        raise UsageError(f"{sample.label} has no purchases with {customer} and {time}")
    first, last = span["first"], span["last"]
    when = periods.read_day(cut, "cut") if cut is not None else last - timedelta(days=ahead)
    if cut is not None and not first < when < last:
        raise UsageError(f"cut lies between the first day, {first}, and the last, {last}")
    whole = _customers(sample, given, who, last, last, bool(amount))
    if cut is None and (last - first).days < 2 * ahead:
        notes.append(f"not judged: {(last - first).days} days are too short to hold back {ahead} of them")
        return whole, None, notes
    before = _customers(sample, given, who, when, last, bool(amount))
    judged = _judge(before, when, (last - when).days)
    notes.append(judged["says"])
    return whole, judged, notes


def _customers(sample: Sample, given: str, name: str, cut: date, last: date, money: bool) -> _Found:
    """Customers as of the end of the day `cut`, and how many days with a purchase followed up to `last`."""
    amount = "SUM(amount)" if money else "0.0"
    sql = (
        f"WITH given AS ({given}),\n"
        f"daily AS (SELECT customer, day, {amount} AS amount FROM given GROUP BY customer, day),\n"
        "ranked AS (SELECT customer, day, amount,"
        " ROW_NUMBER() OVER (PARTITION BY customer ORDER BY day) AS nth FROM daily)\n"
        "SELECT customer, COUNT(*) FILTER (WHERE day <= :cut) - 1 AS x,"
        " days_between(MIN(day), MAX(CASE WHEN day <= :cut THEN day END)) AS t,"
        " days_between(MIN(day), :cut) AS old,"
        " SUM(amount) FILTER (WHERE day <= :cut AND nth > 1) AS spent,"
        " COUNT(*) FILTER (WHERE day > :cut AND day <= :last) AS later"
        " FROM ranked GROUP BY customer HAVING MIN(day) <= :cut ORDER BY customer"
    )
    params = {"cut": cut, "last": last}
    sample.statements.append((sql, params))
    table = sample.engine.query(sql, params)
    x, t, old, later = (table[k].to_numpy(zero_copy_only=False).astype(float) for k in ("x", "t", "old", "later"))
    spent = None
    if money:
        spent = table["spent"].to_numpy(zero_copy_only=False).astype(float)
        spent = np.nan_to_num(spent) / np.maximum(x, 1.0)
    return _Found(name, table["customer"].combine_chunks(), x, t / _WEEK, old / _WEEK, spent, (), later)


def _judge(found: _Found, cut: date, days: int) -> dict[str, Any]:
    """The model of the days up to the cut beside two rules, by the purchases after it."""
    assert found.later is not None
    model = _fit(found)
    ahead = days / _WEEK
    guesses = {
        "bg/nbd": model.purchases(found.x, found.recency, found.age, ahead),
        "each goes on as so far": found.x / np.maximum(found.age, 1 / _WEEK) * ahead,
        "the mean of all": np.full(len(found.x), found.x.sum() / found.age.sum() * ahead),
    }
    rows: list[dict[str, Any]] = [
        {"model": name, "baseline": place > 0, "total": float(guess.sum()), "actual": float(found.later.sum()),
         "rmse": float(np.sqrt(np.mean((guess - found.later) ** 2))),
         "mae": float(np.mean(np.abs(guess - found.later)))}
        for place, (name, guess) in enumerate(guesses.items())
    ]  # fmt: skip
    own, *others = rows
    best = min(others, key=lambda row: row["rmse"])
    beats = own["rmse"] < best["rmse"]
    says = (
        f"{'beats' if beats else 'does not beat'} its baselines on the {days} days after {cut}: {own['total']:,.0f}"
        f" purchases foreseen, {own['actual']:,.0f} made; error a customer {own['rmse']:.3f},"
        f" {best['model']} {best['rmse']:.3f}"
    )
    return {"cut": cut, "days": days, "metrics": rows, "beats": beats, "says": says,
            "parameters": {"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b},
            "log_likelihood": model.loglik}  # fmt: skip
