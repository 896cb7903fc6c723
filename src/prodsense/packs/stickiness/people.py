"""What the pack's analyses share: users with their slices, the newest day of activity, months."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

PACK = "stickiness"


def slices_of(by: str | Sequence[str] | None) -> dict[str, str]:
    """Slices of a user by name → SQL over members (with ``tenure_days``); UsageError for one that users do not have."""
    from .metrics import DIMENSIONS

    known = {d.name: d.at["members"] for d in DIMENSIONS if "members" in d.at}
    known["tenure"] = next(d for d in DIMENSIONS if d.name == "tenure").at["activity"]
    given = by.split(",") if isinstance(by, str) else by or ()
    names = [name.strip().removeprefix(f"{PACK}.") for name in given]
    names = list(dict.fromkeys(name for name in names if name))
    for name in names:
        if name not in known:
            hint = did_you_mean(name, set(known)) or f" Known: {', '.join(known)}"
            raise UsageError(f"users cannot be told apart by {name}.{hint}")
    return {name: known[name] for name in names}


def people_sql(slices: dict[str, str]) -> str:
    """SELECT of the users who count: ``user_id, signup_date, first_active_date`` and a column ``by_<n>`` a slice.

    Reads the parameter ``:tenure_day``, the day at which tenure is told.
    """
    columns = "".join(f", {sql} AS by_{n}" for n, sql in enumerate(slices.values(), 1))
    return (
        f"SELECT user_id, signup_date, first_active_date{columns} FROM"
        " (SELECT *, days_between(signup_date, CAST(:tenure_day AS DATE)) AS tenure_days FROM stickiness.members) AS"
        " told WHERE NOT is_internal"
    )


def slice_columns(slices: Iterable[Any], alias: str = "p") -> str:
    """``, p.by_1, p.by_2`` for as many slices."""
    return "".join(f", {alias}.by_{n}" for n, _ in enumerate(slices, 1))


def span_of_activity(warehouse: Warehouse) -> tuple[date, date]:
    """First and newest day with any activity; UsageError where there is none."""
    found = warehouse.engine.query(
        "SELECT MIN(activity_date) AS first, MAX(activity_date) AS newest FROM stickiness.active_days"
    ).to_pylist()[0]
    if found["newest"] is None:
        raise UsageError(
            "nobody was ever active here: load user_events, sessions or daily_user_activity, then prodsense build"
        )
    return found["first"], found["newest"]


def last_whole_day(as_of: datetime | None, newest: date) -> date:
    """The last day that is over at `as_of`, but none after the newest day of activity."""
    from prodsense.behavior.result import days_over

    return newest if as_of is None else min(newest, days_over(as_of, "UTC"))


def month_of(value: Any) -> date:
    """The first day of the month that ``2024-01`` or any day of it names."""
    text = str(value).strip()
    try:
        return date.fromisoformat(text if len(text) > 7 else f"{text}-01").replace(day=1)
    except ValueError:
        raise UsageError(f"{text!r} is no month; write it like 2024-01") from None


def month_end(month: date) -> date:
    """Last day of the month that begins on `month`."""
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def month_before(month: date) -> date:
    """First day of the month before."""
    return (month - timedelta(days=1)).replace(day=1)
