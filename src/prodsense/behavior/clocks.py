"""Clocks of devices: times of events set right by when the server received them.

A client stamps an event with its own clock and sends it when it can, so an event's *delay* (receipt minus client
time) mixes two things: how far the clock is off, and how long the event waited. They are told apart by device (user
and device; all of a user's events where no device is named), over all events that have a receipt:

* A delay is **steady** when the events of the device whose delay is that or up to `tolerance` more were received over
  a stretch longer than `tolerance`. What waited offline and is then sent at once is not steady: its delays differ by
  as much as its times do.
* The clock is **right** when some event of the device has a delay within ± `tolerance`: it came at once.
* Else it is **ahead** by the most that a steady delay is below −`tolerance`; or else **behind** by the least delay at
  or above −`tolerance`, when that one is steady. Else nothing is known of it, and it is taken as right.

A clock that is off shifts all events of its device by the one offset; an offline burst keeps its own times and
distances. After that, an event that is still more than `tolerance` later than its receipt cannot be: it takes
the time of the receipt. An event without a receipt is only shifted. One offset a device: a clock that was set right
on the way counts as right, and then only times in the future are mended.

The idea is that of collectors which derive a time from ``received − (sent − created)``; without a column of when it
was sent, the least delay of a device stands for the way over the network.
"""

from __future__ import annotations

from collections.abc import Sequence

#: What happened to an event's time: nothing, its device's clock was off, or it was set to the receipt.
AS_IT_WAS, SHIFTED, RECEIPT = 0, 1, 2
#: How answers call the events that were mended.
CORRECTIONS = {"shifted": SHIFTED, "set_to_receipt": RECEIPT}


def same(left: str, right: str, columns: str) -> str:
    """SQL: the rows `left` and `right` are equal in `columns`, a null user apart, null devices being one."""
    return " AND ".join(
        f"{left}.{name} IS NOT DISTINCT FROM {right}.{name}" if name != "user_id" else f"{left}.{name} = {right}.{name}"
        for name in columns.split(", ")
    )


def listed(columns: str, alias: str) -> str:
    """`columns` of the relation `alias`."""
    return ", ".join(f"{alias}.{name}" for name in columns.split(", "))


def timed(source: str) -> str:
    """SELECT of `source` (a SELECT with ``event_time`` and ``received``) with ``delay``, in microseconds."""
    return (
        "SELECT *, CAST(ROUND(seconds_between(event_time, received) * 1000000) AS BIGINT) AS delay"
        f" FROM ({source}) AS source"
    )


def clocks(timed_events: str, who: str, tolerance: int) -> str:
    """SELECT of the clocks that are off: `who` and ``shift``, microseconds to add to the device's times.

    `timed_events` is what `timed` gives; `tolerance` is in microseconds.
    """
    frame = f"RANGE BETWEEN CURRENT ROW AND {int(tolerance)} FOLLOWING"
    near = f"OVER (PARTITION BY {listed(who, 'h')} ORDER BY delay {frame})"
    on_earth = f"delay >= {-int(tolerance)}"
    # Most clocks are right, which a minimum tells; only the others' delays are sorted.
    return (
        f"WITH heard AS (SELECT {who}, delay, received FROM ({timed_events}) AS timed WHERE delay IS NOT NULL),"
        f" doubtful AS (SELECT {who} FROM heard GROUP BY {who}"
        f" HAVING COALESCE(MIN(CASE WHEN {on_earth} THEN delay END), {int(tolerance) + 1}) > {int(tolerance)}),"
        f" spanned AS (SELECT {listed(who, 'h')}, delay, MIN(received) {near} AS first_receipt, MAX(received) {near}"
        f" AS last_receipt FROM heard AS h JOIN doubtful AS d ON {same('h', 'd', who)}),"
        f" judged AS (SELECT {who}, delay, CASE WHEN seconds_between(first_receipt, last_receipt) * 1000000"
        f" > {int(tolerance)} THEN 1 ELSE 0 END AS steady FROM spanned),"
        f" levels AS (SELECT {who}, MIN(CASE WHEN {on_earth} THEN delay END) AS least,"
        f" MIN(CASE WHEN {on_earth} AND steady = 1 THEN delay END) AS steady_least,"
        f" MIN(CASE WHEN NOT {on_earth} AND steady = 1 THEN delay END) AS ahead FROM judged GROUP BY {who}),"
        f" told AS (SELECT {who}, CASE WHEN ahead IS NOT NULL THEN ahead WHEN least = steady_least THEN least END"
        f" AS shift FROM levels) SELECT {who}, shift FROM told WHERE shift IS NOT NULL"
    )


def corrected(timed_events: str, off: str, who: str, columns: Sequence[str], tolerance: int) -> str:
    """SELECT of the events with ``event_time`` set right, the other `columns`, and ``correction``.

    `off` is a SELECT of the clocks that are off; ``correction`` is 0, 1 or 2 as this module's constants say.
    """
    shifted = "CASE WHEN c.shift IS NULL THEN t.event_time ELSE add_minutes(t.event_time, ratio(c.shift, 60000000)) END"
    return (
        f"SELECT {', '.join(columns)}, CASE WHEN impossible = 1 THEN received ELSE shifted END AS event_time,"
        f" CASE WHEN impossible = 1 THEN {RECEIPT} WHEN is_off = 1 THEN {SHIFTED} ELSE {AS_IT_WAS} END AS correction"
        f" FROM (SELECT {', '.join(f't.{name}' for name in columns)}, t.received, {shifted} AS shifted,"
        " CASE WHEN c.shift IS NULL THEN 0 ELSE 1 END AS is_off,"
        f" CASE WHEN t.delay - COALESCE(c.shift, 0) < {-int(tolerance)} THEN 1 ELSE 0 END AS impossible"
        f" FROM ({timed_events}) AS t LEFT JOIN ({off}) AS c ON {same('t', 'c', who)}) AS moved"
    )
