"""Retention by hand, against a plain Python reading of the definitions, and its limits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.behavior import EventTable, cohort, retention
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

DAY = timedelta(days=1)


def at(day: int, hour: float = 12) -> datetime:
    return datetime(2024, 3, day) + timedelta(hours=hour)


def table(rows: list[tuple[Any, ...]], **options: Any) -> EventTable:
    names = ("user", "time", "event", "country", "signup")
    dicts = [dict(zip(names, [*row, *[None] * (5 - len(row))], strict=True)) for row in rows]
    return EventTable.read(dicts, "user", "time", "event", **options)


#: a enters on 1 March, returns on days 1 and 3; b enters on 1 March, returns on day 3 only; c enters on 3 March.
LOG = [
    ("a", at(1), "open", "de"), ("a", at(1), "open", "de"), ("a", at(2), "open", "fr"), ("a", at(4), "pay", "fr"),
    ("b", at(4), "open", "fr"), ("b", at(1, 23), "open", "fr"),
    ("c", at(3), "open", "de"), ("c", at(4), "pay", "de"),
    (None, at(1), "open", "de"), ("d", None, "open", "de"),
]  # fmt: skip


def rates(answer: Any) -> dict[Any, Any]:
    return {(row["cohort"].day if row["cohort"] else None, row["day"]): (row["retained"], row["size"])
            for row in answer.rows}


def test_exact_by_hand() -> None:
    with table(LOG) as events:
        answer = retention(events, days=3, as_of="2024-03-04")
    assert rates(answer) == {
        (1, 0): (2, 2), (1, 1): (1, 2), (1, 2): (0, 2), (1, 3): (2, 2),
        (3, 0): (1, 1), (3, 1): (1, 1),
    }  # fmt: skip
    assert answer.incomplete == (date(2024, 3, 3),)
    assert answer.extras["censored"] == {"2": 1, "3": 1}
    assert answer.notes[0] == "2 rows without user or time left out"


def test_a_day_that_is_not_over_counts_nobody() -> None:
    with table(LOG) as events:
        answer = retention(events, days=3)  # as of the newest event: noon of 4 March
        assert answer.as_of == at(4)
        assert (1, 3) not in rates(answer)
        assert rates(answer)[3, 0] == (1, 1)
        # What happens after as_of is not known yet.
        early = retention(events, days=3, as_of="2024-03-02")
        assert rates(early) == {(1, 0): (2, 2), (1, 1): (1, 2)}


def test_unbounded_bracketed_and_rolling_by_hand() -> None:
    with table(LOG) as events:
        later = rates(retention(events, days=3, kind="unbounded", as_of="2024-03-04"))
        assert [later[1, n] for n in range(4)] == [(2, 2), (2, 2), (2, 2), (2, 2)]
        assert [later[3, n] for n in range(2)] == [(1, 1), (1, 1)]
        brackets = rates(retention(events, brackets="1-2, 2-3,0", as_of="2024-03-04"))
        assert brackets == {(1, "1-2"): (1, 2), (1, "2-3"): (2, 2), (1, "0"): (2, 2), (3, "0"): (1, 1)}
        # b came at 23:00 on the 1st and at 12:00 on the 4th: 61 hours later, the third span of 24 hours.
        rolling = rates(retention(events, days=3, kind="rolling", as_of=at(5, 12)))
        assert [rolling[1, n] for n in range(4)] == [(2, 2), (1, 2), (1, 2), (1, 1)]


def test_entry_and_return_events_cohorts_and_dimensions() -> None:
    with table(LOG) as events:
        pay = retention(events, start_event="open", return_event="pay", days=3, as_of="2024-03-04")
        assert rates(pay)[1, 3] == (1, 2)
        assert rates(pay)[3, 0] == (0, 1)
        every = retention(events, cohort="any", days=1, as_of="2024-03-04")
        assert rates(every) == {
            (1, 0): (2, 2), (1, 1): (1, 2), (2, 0): (1, 1), (2, 1): (0, 1), (3, 0): (1, 1), (3, 1): (1, 1),
            (4, 0): (3, 3),
        }  # fmt: skip
        sliced = retention(events, by="country", grain="all", days=1, as_of="2024-03-04")
        assert [(r["country"], r["day"], r["retained"], r["size"]) for r in sliced.rows] == [
            ("de", 0, 2, 2), ("de", 1, 2, 2), ("fr", 0, 1, 1), ("fr", 1, 0, 1)
        ]  # fmt: skip
        payers = cohort(events, "payers", event="pay")
        assert payers.users().rows == [{"user_id": "a"}, {"user_id": "c"}]
        split = retention(events, by=payers, grain="all", days=1, as_of="2024-03-04")
        assert [(r["payers"], r["retained"], r["size"]) for r in split.rows if r["day"] == 1] == [
            ("in", 2, 2), ("not in", 0, 1)
        ]  # fmt: skip
        weeks = retention(events, grain="week", days=1, as_of="2024-03-04")
        assert [r["cohort"] for r in weeks.rows] == [date(2024, 2, 26)] * 2
        assert retention(events, since="2024-03-02", days=0, as_of="2024-03-04").extras["entered"] == 1


def test_weeks_and_months_are_calendar_periods() -> None:
    # 1 March 2024 is a Friday: a enters in the week of 26 February and is back twice in the one of 4 March; b enters
    # on Monday the 4th and is back on the last day of March and on 1 April; c enters on the 31st.
    days = {"a": [(3, 1), (3, 4), (3, 10)], "b": [(3, 4), (3, 31), (4, 1)], "c": [(3, 31)]}
    log = [(user, datetime(2024, *day, 12), "open", "de") for user, of in days.items() for day in of]
    with table(log) as events:
        weeks = retention(events, weeks=4, as_of="2024-04-07")
        assert [(r["cohort"], r["week"], r["size"], r["retained"]) for r in weeks.rows if r["retained"]] == [
            (date(2024, 2, 26), 0, 1, 1), (date(2024, 2, 26), 1, 1, 1), (date(2024, 3, 4), 0, 1, 1),
            (date(2024, 3, 4), 3, 1, 1), (date(2024, 3, 4), 4, 1, 1), (date(2024, 3, 25), 0, 1, 1),
        ]  # fmt: skip
        # The week of 1 April is over with its Sunday, not before.
        assert [r["week"] for r in weeks.rows if r["cohort"] == date(2024, 3, 25)] == [0, 1]
        early = retention(events, weeks=4, as_of="2024-04-06")
        assert [r["week"] for r in early.rows if r["cohort"] == date(2024, 3, 25)] == [0]
        assert early.extras["censored"]["1"] == 1
        months = retention(events, months=1, as_of="2024-04-30")
        assert [(r["cohort"], r["month"], r["size"], r["retained"]) for r in months.rows] == [
            (date(2024, 3, 1), 0, 3, 3), (date(2024, 3, 1), 1, 3, 1),
        ]  # fmt: skip
        assert [r["month"] for r in retention(events, months=1, as_of="2024-04-29").rows] == [0]
        later = retention(events, weeks=2, kind="unbounded", grain="all", as_of="2024-04-07").rows
        assert [(r["week"], r["size"], r["retained"]) for r in later] == [(0, 3, 3), (1, 3, 2), (2, 2, 1)]
        assert "week 1" in str(weeks) and "weeks since entry" in weeks.chart().to_json()
        for wrong in ({"days": 3, "weeks": 2}, {"weeks": 1, "kind": "rolling"}, {"months": 1, "brackets": "1-3"}):
            with pytest.raises(UsageError):
                retention(events, **wrong)


def test_entry_on_an_attribute() -> None:
    rows = [
        ("a", at(2, 5), "open", "de", date(2024, 3, 1)), ("a", at(3), "open", "de", date(2024, 3, 1)),
        ("b", at(2), "open", "de", None),
    ]  # fmt: skip
    with table(rows) as events:
        answer = retention(events, cohort="signup", days=2, as_of="2024-03-03")
        assert rates(answer) == {(1, 0): (0, 1), (1, 1): (1, 1), (1, 2): (1, 1)}
        with pytest.raises(UsageError, match="country holds string, not times"):
            retention(events, cohort="country")


def test_days_of_a_zone_with_summer_time() -> None:
    # Berlin's 31 March 2024 has 23 hours: 22:30 UTC on the 30th is 23:30 there, 21:59 UTC on the 31st is 23:59.
    rows = [("a", datetime(2024, 3, 30, 22, 30), "x"), ("a", datetime(2024, 3, 31, 21, 59), "x"),
            ("a", datetime(2024, 3, 31, 22, 0), "x")]  # fmt: skip
    with table(rows) as events:
        answer = retention(events, days=2, tz="Europe/Berlin", as_of="2024-04-01")
        assert [(r["day"], r["retained"]) for r in answer.rows] == [(0, 1), (1, 1), (2, 1)]
        assert [r["retained"] for r in retention(events, days=2, as_of="2024-04-01").rows] == [1, 1, 0]
        # 1 April in Berlin is over at 22:00 UTC, not before.
        shy = retention(events, days=2, tz="Europe/Berlin", as_of="2024-04-01T21:59:59")
        assert [r["day"] for r in shy.rows] == [0, 1]


def test_wrong_requests_say_what_to_do() -> None:
    with table(LOG) as events:
        for options, words in [
            ({"kind": "exactly"}, "Did you mean exact"),
            ({"brackets": "3-1"}, "runs from a day to a later one"),
            ({"brackets": "a-b"}, "no bracket of days"),
            ({"brackets": "1-3", "kind": "rolling"}, "go with kind exact"),
            ({"grain": "fortnight"}, "choose one of day"),
            ({"by": "contry"}, "Did you mean country"),
            ({"days": -1}, "0 to 3660"),
            ({"cohort": "signups"}, "Did you mean signup"),
        ]:
            with pytest.raises(UsageError, match=words):
                retention(events, **options)  # type: ignore[arg-type]
    with EventTable.read(LOG_ROWS, "user", "time") as plain, pytest.raises(UsageError, match="name the event column"):
        retention(plain, start_event="open")


LOG_ROWS = [{"user": 1, "time": at(1)}]


def test_it_prints_wide_and_draws() -> None:
    with table(LOG) as events:
        answer = retention(events, days=3, as_of="2024-03-04")
        assert "day 3" in str(answer)
        assert '"rate": 0.5' in answer.to_json()
        assert answer.to_csv().splitlines()[0] == "cohort,day,size,retained,rate,censored"
        assert answer.chart().to_dict()
        assert retention(events, days=3, by="country", as_of="2024-03-04").chart().to_dict()
        assert retention(events, brackets="1-2", grain="all", as_of="2024-03-04").chart().to_dict()
        assert str(retention(events, start_event="none", as_of="2024-03-04"))
        assert len(answer.sql) == 2


# --- against a plain reading of the definitions ---------------------------------------------------

LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 8 * 48 - 1), st.sampled_from("xyz"), st.sampled_from(["de", "fr", None])),
    min_size=1, max_size=40,
)  # fmt: skip
BERLIN = "Europe/Berlin"


def naive(
    rows: list[tuple[Any, ...]], kind: str, windows: list[tuple[int, int]], cohort_kind: str, start: str | None,
    again: str | None, as_of: datetime, tz: str,
) -> dict[tuple[date, Any], tuple[int, int]]:
    """Retention one subject at a time, as the definitions read."""

    def day(moment: datetime) -> date:
        return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(tz)).date()

    def over(of: date) -> bool:
        end = datetime(of.year, of.month, of.day, tzinfo=ZoneInfo(tz)) + DAY
        return as_of >= end.astimezone(UTC).replace(tzinfo=None) - timedelta(microseconds=1)

    entries = set()
    for user in {r[0] for r in rows}:
        times = sorted(r[1] for r in rows if r[0] == user and r[1] <= as_of and start in (None, r[2]))
        if cohort_kind == "first":
            entries |= {(user, t) for t in times[:1]}
        else:
            entries |= {(user, min(t for t in times if day(t) == d)) for d in {day(t) for t in times}}
    found: dict[tuple[date, Any], list[int]] = {}
    for user, entered in entries:
        later = [r[1] for r in rows if r[0] == user and entered <= r[1] <= as_of and again in (None, r[2])]
        for first, last in windows:
            if kind == "rolling":
                if as_of < entered + DAY * (last + 1):
                    continue
                back = any(entered + DAY * first <= t < entered + DAY * (last + 1) for t in later)
            else:
                if not over(day(entered) + DAY * last):
                    continue
                gaps = [(day(t) - day(entered)).days for t in later]
                back = any(g >= first if kind == "unbounded" else first <= g <= last for g in gaps)
            label = (str(first) if kind == "bracketed" else first) if first == last else f"{first}-{last}"
            cell = found.setdefault((day(entered), label), [0, 0])
            cell[0] += back
            cell[1] += 1
    return {at: (a, b) for at, (a, b) in found.items()}


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=LOGS, kind=st.sampled_from(["exact", "unbounded", "rolling", "bracketed"]),
    how=st.sampled_from(["first", "any"]), start=st.sampled_from([None, "x"]), again=st.sampled_from([None, "y"]),
    half_hours=st.integers(0, 9 * 48), tz=st.sampled_from(["UTC", BERLIN]),
)  # fmt: skip
def test_as_the_definitions_read(
    log: list[Any], kind: str, how: str, start: str | None, again: str | None, half_hours: int, tz: str
) -> None:
    base = datetime(2024, 3, 28)  # summer time begins in Berlin on the 31st
    rows = [(user, base + timedelta(minutes=30 * t), event, country) for user, t, event, country in log]
    as_of = base + timedelta(minutes=30 * half_hours)
    windows = [(0, 1), (1, 3), (4, 4)] if kind == "bracketed" else [(n, n) for n in range(5)]
    options: dict[str, Any] = {"brackets": windows} if kind == "bracketed" else {"kind": kind, "days": 4}
    with EventTable.read(
        [dict(zip(("user", "time", "event", "country"), r, strict=True)) for r in rows], "user", "time", "event",
        engine=ENGINE,
    ) as events:
        answer = retention(events, cohort=how, start_event=start, return_event=again, as_of=as_of, tz=tz, **options)
    got = {(row["cohort"], row["day"]): (row["retained"], row["size"]) for row in answer.rows}
    assert got == naive(rows, kind, windows, how, start, again, as_of, tz)


ENGINE = DuckDBEngine()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "options",
    [{}, {"kind": "unbounded", "by": "country"}, {"kind": "rolling", "cohort": "any"}, {"brackets": "1-3,2-4"},
     {"cohort": "signup", "tz": BERLIN}, {"weeks": 2}, {"months": 1, "kind": "unbounded", "compare": "year"}],
    ids=str,
)  # fmt: skip
def test_it_is_said_in_every_dialect(dialect: str, options: dict[str, Any]) -> None:
    rows = [("a", at(1), "open", "de", date(2024, 3, 1))]
    with table(rows) as events:
        members = cohort(events, "m", event="open", at_least=2, on_days=2, within_days=7, since="2024-03-01")
        answer = retention(events, **{"by": [members], **options})
        for sql, _ in answer.statements:
            assert render(sql, dialect)
