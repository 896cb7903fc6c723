"""What makes a session: the rules that a user states, and their SQL, for every method that stands on sessions.

The SQL goes in stages, each a SELECT over the one before:

    logged     the events: who, event_time (set right by receipt where asked), goes_away, and what else is wanted
    numbered   the same with ``number`` (the session within its subject), ``is_first``, ``is_last``, ``next_time``
    runs       one row a session

Events at the same moment are taken in this order: those that go to the background last, then by name, device and
platform; so no answer hangs on the order of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from prodsense.behavior import clocks
from prodsense.behavior.events import EventTable
from prodsense.contracts.options import Devices
from prodsense.engines.base import comma
from prodsense.errors import UsageError

#: The event that sends the app to the background, where the user names no other.
BACKGROUND = "app_background"

#: How the devices of one user make sessions.
DEVICES = get_args(Devices)


@dataclass(frozen=True)
class Rules:
    """The rules of sessions on one event table; make them with `Rules.of`, which checks and completes them."""

    #: Minutes without an event that end a session; the same after going to the background.
    gap: float = 30
    grace: float = 5
    #: Name of the event that goes to the background; "": there is none.
    background: str = BACKGROUND
    #: apart: a session is of one device; together: of all devices of the user as one log; joined: sessions of single
    #: devices that overlap, or follow within `join` minutes, are one.
    devices: str = ""
    join: float = 0
    #: Columns of the relation: the platform of an event, and when the server received it.
    platform: str = ""
    received: str = ""
    #: Minutes by which a clock may be off, or an event late, and pass as right.
    tolerance: float = 1
    #: Whether the events name a device, and what they are called.
    device: bool = False
    event: bool = False

    @classmethod
    def of(
        cls, events: EventTable, *, gap: float = 30, grace: float = 5, background: str | None = BACKGROUND,
        devices: str = "", join: float | None = None, platform: str = "", received: str = "", tolerance: float = 1,
    ) -> Rules:
        """Rules that hold for `events`; UsageError names what is wrong with one."""
        if not (gap > 0 and grace > 0):
            raise UsageError(f"gap and grace are minutes above 0, not {gap:g} and {grace:g}")
        if not (join is None or join > 0):
            raise UsageError(f"join is minutes above 0, not {join:g}")
        if not tolerance > 0:
            raise UsageError(f"tolerance is minutes above 0, not {tolerance:g}")
        if devices and devices not in DEVICES:
            raise UsageError(f"devices are {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, not {devices!r}")
        if devices in ("apart", "joined") and not events.device:
            raise UsageError(f"to keep devices {devices}, name the device column (--device)")
        if join is not None and devices != "joined":
            raise UsageError("join says which sessions of several devices become one: ask for devices joined")
        return cls(
            gap, grace, background if background and events.event else "",
            devices or ("apart" if events.device else "together"),
            (grace if join is None else join) if devices == "joined" else 0,
            platform and events.column(platform), received and events.time_column(received), tolerance,
            bool(events.device), bool(events.event),
        )

    @property
    def reach(self) -> float:
        """Minutes beyond which no event changes a session."""
        return max(self.gap, self.join)

    @property
    def tolerance_us(self) -> int:
        return round(self.tolerance * 60_000_000)

    @property
    def owner(self) -> str:
        """Columns that name whose clock it was."""
        return "user_id, device_id" if self.device else "user_id"

    @property
    def subject(self) -> str:
        """Columns that name whose session it is."""
        return "user_id, device_id" if self.devices == "apart" else "user_id"

    def params(self) -> dict[str, Any]:
        """What the SQL of these rules binds, ``as_of`` apart."""
        found: dict[str, Any] = {"gap": self.gap * 60.0, "open_gap": self.gap, "open_grace": min(self.gap, self.grace)}
        if self.background:
            found |= {"grace": self.grace * 60.0, "background": self.background}
        if self.devices == "joined":
            found |= {"near": self.join * 60.0, "open_near": self.join}
        return found

    # -- events ----------------------------------------------------------------------------------------

    def source(self, events: EventTable, extra: Mapping[str, str] | None = None, condition: str = "") -> str:
        """SELECT of the events with what the rules need; with a receipt column also ``received`` and ``delay``.

        `condition` is one more over the relation's own columns; it may hold parameters.
        """
        wanted = dict(extra or {})
        if self.platform:
            wanted["platform"] = f"text_of({comma([self.platform])})"
        if not self.received:
            return events.select(wanted, condition=condition)
        wanted["received"] = events.moment(self.received)
        return clocks.timed(events.select(wanted, condition=condition))

    @property
    def columns(self) -> list[str]:
        """Columns of `source`, in order, but for time, receipt and extras."""
        names = ["user_id"]
        names += ["device_id"] if self.device else []
        names += ["event_name"] if self.event else []
        names += ["platform"] if self.platform else []
        return names

    def clocks(self, events: EventTable, source: str = "") -> str:
        """SELECT of the clocks that are off, by the events of `source` (all)."""
        return clocks.clocks(source or self.source(events), self.owner, self.tolerance_us)

    def settled(
        self, events: EventTable, extra: Mapping[str, str] | None = None, off: str = "", condition: str = ""
    ) -> str:
        """SELECT of the events with their times set right; `off` gives the clocks if they are known already."""
        source = self.source(events, extra, condition)
        if not self.received:
            return source
        return clocks.corrected(
            source, off or self.clocks(events), self.owner,
            [*self.columns, *events.dimension_columns.values(), *(extra or {})], self.tolerance_us,
        )

    def logged(self, settled: str, condition: str = "event_time <= :as_of") -> str:
        """SELECT of events that sessions are made of; `condition` may hold parameters."""
        away = "CASE WHEN event_name = :background THEN 1 ELSE 0 END" if self.background else "0"
        kept = f" WHERE {condition}" if condition else ""
        return f"SELECT *, {away} AS goes_away FROM ({settled}) AS source{kept}"

    # -- sessions --------------------------------------------------------------------------------------

    def order(self, beside: Sequence[str] = ()) -> str:
        """Columns by which events of a subject are ordered; `beside` are further ones that an answer hangs on."""
        names = ["event_time", "goes_away"]
        names += ["event_name"] if self.event else []
        names += ["device_id"] if self.device and self.devices != "apart" else []
        names += ["platform"] if self.platform else []
        return ", ".join([*names, *beside])

    def numbered(self, logged: str, beside: Sequence[str] = ()) -> str:
        """SELECT of the events with their session's number; ``until`` is when a session's device may go on no more."""
        if self.devices == "joined":
            return self._joined(replace(self, devices="apart")._cut(logged, beside))
        return self._cut(logged, beside)

    def _cut(self, logged: str, beside: Sequence[str]) -> str:
        who, order = self.subject, self.order(beside)
        window = f"OVER (PARTITION BY {who} ORDER BY {order})"
        passed = "seconds_between(prev_time, event_time)"
        grace = f" OR (prev_away = 1 AND {passed} >= :grace)" if self.background else ""
        return (
            f"WITH logged AS ({logged}),"
            f" lagged AS (SELECT *, LAG(event_time) {window} AS prev_time, LAG(goes_away) {window} AS prev_away,"
            f" LEAD(event_time) {window} AS next_time FROM logged),"
            f" begun AS (SELECT *, CASE WHEN prev_time IS NULL OR {passed} >= :gap{grace} THEN 1 ELSE 0 END AS is_first"
            " FROM lagged),"
            f" numbered AS (SELECT *, SUM(is_first) OVER (PARTITION BY {who} ORDER BY {order}"
            " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS number,"
            f" COALESCE(LEAD(is_first) {window}, 1) AS is_last FROM begun)"
            " SELECT *, CASE WHEN is_last = 0 THEN NULL WHEN goes_away = 1 THEN add_minutes(event_time, :open_grace)"
            " ELSE add_minutes(event_time, :open_gap) END AS until FROM numbered"
        )

    def _joined(self, cut: str) -> str:
        """Number sessions of single devices (`cut`) by user: those that overlap or are close have one number.

        Where a device's session begins, the user's session goes on unless all before it ended `join` ago.
        """
        mended = ["correction"] if self.received else []
        kept = ", ".join([*self.columns, "event_time", "goes_away", "until", *mended])
        order = self.order()
        window = f"OVER (PARTITION BY user_id ORDER BY {order})"
        rows = "ROWS BETWEEN UNBOUNDED PRECEDING AND"
        parts = f"OVER (PARTITION BY user_id ORDER BY part_start, device_id, {order} {rows}"
        return (
            f"WITH cut AS ({cut}),"
            f" spans AS (SELECT {kept}, is_first AS is_part,"
            " MIN(event_time) OVER (PARTITION BY user_id, device_id, number) AS part_start,"
            " MAX(event_time) OVER (PARTITION BY user_id, device_id, number) AS part_end FROM cut),"
            f" reaching AS (SELECT *, MAX(part_end) {parts} 1 PRECEDING) AS reached FROM spans),"
            " parted AS (SELECT *, CASE WHEN is_part = 1 AND (reached IS NULL"
            " OR seconds_between(reached, event_time) >= :near) THEN 1 ELSE 0 END AS begins FROM reaching),"
            f" numbered AS (SELECT *, SUM(begins) {parts} CURRENT ROW) AS number FROM parted)"
            " SELECT *, CASE WHEN LAG(number)"
            f" {window} = number THEN 0 ELSE 1 END AS is_first,"
            f" CASE WHEN LEAD(number) {window} = number THEN 0 ELSE 1 END AS is_last FROM numbered"
        )

    def runs(self, logged: str) -> str:
        """SELECT of sessions from events: subject, start, end, counts, and ``open_until``."""
        who = self.subject
        items = [who, "MIN(event_time) AS session_start", "MAX(event_time) AS session_end",
                 "CAST(COUNT(*) AS BIGINT) AS events"]
        ends = {"event": "event_name"} if self.event else {}
        if self.platform:
            ends["platform"] = "platform"
        for name, column in ends.items():
            items += [f"MAX(CASE WHEN is_first = 1 THEN {column} END) AS first_{name}",
                      f"MAX(CASE WHEN is_last = 1 THEN {column} END) AS last_{name}"]
        if self.device and self.devices != "apart":
            items.append("CAST(COUNT(DISTINCT device_id) AS BIGINT) AS devices")
        if self.devices == "joined":
            items.append("CAST(SUM(is_part) AS BIGINT) AS device_sessions")
        if self.platform:
            items.append("CAST(COUNT(DISTINCT platform) AS BIGINT) AS platforms")
        if self.received:
            items += [f"CAST(COUNT(*) FILTER (WHERE correction = {kind}) AS BIGINT) AS {name}"
                      for name, kind in clocks.CORRECTIONS.items()]
        until = "MAX(until)"
        if self.devices == "joined":
            until = "GREATEST(MAX(until), add_minutes(MAX(event_time), :open_near))"
        return (
            f"SELECT {', '.join(items)}, {until} AS open_until"
            f" FROM ({self.numbered(logged)}) AS events_numbered GROUP BY {who}, number"
        )

    @property
    def facts(self) -> list[str]:
        """Columns of a session besides subject, start, end, day and length, in the order of an answer."""
        names = ["events"]
        names += ["first_event", "last_event"] if self.event else []
        names += ["devices"] if self.device and self.devices != "apart" else []
        names += ["device_sessions"] if self.devices == "joined" else []
        names += ["platforms", "first_platform", "last_platform"] if self.platform else []
        names += [*clocks.CORRECTIONS] if self.received else []
        return names


def subject_key(columns: str) -> str:
    """SQL of a text that names a subject: no two subjects have the same.

    The parts are set apart by lengths and a bar: no two subjects can write the same text.
    """
    empty = "''"
    device = "CASE WHEN device_id IS NULL THEN 'n' ELSE CONCAT('d', text_of(device_id)) END"
    return (
        "CONCAT(text_of(LENGTH(text_of(user_id))), '|', text_of(user_id),"
        f" {device if 'device_id' in columns else empty})"
    )


def session_key(columns: str) -> str:
    """SQL of a session's id: a hash of subject and start."""
    return (
        "MD5(CONCAT(text_of(days_between(CAST('1970-01-01' AS DATE), date_of(session_start))), '|',"
        " text_of(CAST(ROUND(seconds_between(date_of(session_start), session_start) * 1000000) AS BIGINT)), '|',"
        f" {subject_key(columns)}))"
    )
