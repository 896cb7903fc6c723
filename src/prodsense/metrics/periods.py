"""Calendar arithmetic of reports: where a period starts, the next one, the same one a year before.

Periods are named by the date of their first day in the report zone; weeks start on Monday.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, get_args

from prodsense.contracts.vocabulary import Grain
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

#: A day, or a moment of one.
Moment = TypeVar("Moment", date, datetime)

GRAINS = get_args(Grain)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}

#: Smallest step that the engines keep of a moment.
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone called `name`; UsageError when there is none."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"no time zone named {name!r}; use an IANA name such as Europe/Berlin") from None


def start_of(day: date, grain: str) -> date:
    """First day of the period of `grain` that holds `day`."""
    match grain:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    raise ValueError(f"no periods of grain {grain!r}")


def shift(start: date, grain: str, steps: int) -> date:
    """Start of the period `steps` after (before, if negative) the one that starts on `start`."""
    if grain in ("day", "week"):
        return start + timedelta(days=steps * (7 if grain == "week" else 1))
    months = start.year * 12 + start.month - 1 + steps * _MONTHS[grain]
    return date(months // 12, months % 12 + 1, start.day)


def year_before(start: date, grain: str) -> date | None:
    """The same period one year before: 52 weeks for weeks; None for 29 February."""
    if grain == "week":
        return start - timedelta(weeks=52)
    try:
        return start.replace(year=start.year - 1)
    except ValueError:
        return None


def back_a_year(moment: Moment) -> Moment:
    """The same day or moment a year before; of 29 February that of the 28th."""
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:
        return moment.replace(year=moment.year - 1, day=28)


def last_day(start: date, grain: str) -> date:
    """Last day of the period that starts on `start`."""
    return shift(start, grain, 1) - DAY


def count(first: date, last: date, grain: str) -> int:
    """Number of periods from the one that starts on `first` to the one that starts on `last`, both inside."""
    if grain in ("day", "week"):
        return max(0, (last - first).days // (7 if grain == "week" else 1) + 1)
    months = (last.year - first.year) * 12 + last.month - first.month
    return max(0, months // _MONTHS[grain] + 1)


def spine(first: date, last: date, grain: str) -> list[date]:
    """Starts of all periods from `first` to `last`, both inside and both starts of a period."""
    return [shift(first, grain, step) for step in range(count(first, last, grain))]


def midnight(day: date, tz: str) -> datetime:
    """The moment `day` starts in zone `tz`, in UTC without offset."""
    if tz == "UTC":
        return datetime.combine(day, time())
    local = datetime.combine(day, time(), zone(tz))
    try:
        return local.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return datetime.combine(day, time())


def end_of_day(day: date, tz: str) -> datetime:
    """The last moment of `day` in zone `tz`, in UTC without offset."""
    if day == date.max:
        return datetime.max
    return midnight(day + DAY, tz) - TICK


def local_day(moment: datetime, tz: str) -> date:
    """The day that `moment` (UTC without offset) belongs to in zone `tz`."""
    if tz == "UTC":
        return moment.date()
    return moment.replace(tzinfo=UTC).astimezone(zone(tz)).date()


def read_day(value: object, what: str) -> date:
    """A calendar day from a date or ISO text; UsageError names `what` for anything else."""
    if isinstance(value, datetime):
        if value.time() != time():
            raise UsageError(f"{what} is a day, not a moment: {value.isoformat()}")
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise UsageError(f"{what} should be a date like 2024-01-31, not {str(value)!r}") from None


def read_moment(value: object, tz: str, what: str = "as_of") -> datetime:
    """A moment in UTC without offset from a datetime, date or ISO text; a day means its end in `tz`."""
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date):
        return end_of_day(value, tz)
    text = str(value).strip()
    try:
        return end_of_day(date.fromisoformat(text), tz)
    except ValueError:
        pass
    try:
        return read_moment(datetime.fromisoformat(text), tz, what)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{what} should be a date or a moment like 2024-01-31 or 2024-01-31T18:00, not {str(value)!r}"
        ) from None
