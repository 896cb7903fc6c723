"""Where sessions begin, on arrays sorted by subject and time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prodsense.behavior import kernels

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from prodsense.behavior.log import EventLog


def session_starts(
    subject: np.ndarray, moment: np.ndarray, background: np.ndarray | None, gap: int, grace: int, fast: Any = None
) -> np.ndarray:
    """Positions of the first event of each session, rising; int64.

    `subject` (n) holds a number per user and device, `moment` (n) microseconds, `background` (n) whether the event
    sends the app to the background. Rows are sorted by subject and moment. `gap` and `grace` are in microseconds:
    a session ends when the next event is `gap` or more away, or `grace` or more after going to the background.
    `fast` is the module of compiled kernels (`kernels.compiled`), or None.
    """
    import numpy as np

    if not len(subject):
        return np.zeros(0, dtype=np.int64)
    if fast is not None:
        away_to = background if background is not None else np.zeros(0, dtype=bool)
        return fast.session_starts(subject, moment, away_to, gap, grace)
    away = np.diff(moment)
    starts = away >= gap
    if background is not None:
        starts |= background[:-1] & (away >= grace)
    starts |= subject[1:] != subject[:-1]
    return np.concatenate([[0], np.flatnonzero(starts) + 1]).astype(np.int64)


def session_table(log: EventLog, gap: float, grace: float, background: str | None, as_of: datetime) -> pa.Table:
    """The sessions of a log up to `as_of`, sorted by the log's number of the user and by start.

    `gap` and `grace` in seconds, `background` the name of the event that opens the grace. Columns: ``user_id``,
    ``session_start``, ``session_end`` (UTC), ``events``, ``first_event``, ``last_event`` and ``open_until``: an event
    before that moment would belong to the session.
    """
    import numpy as np
    import pyarrow as pa

    log = log.until(as_of)
    away = log.code_of(background) if background is not None else -1
    code, marked = log.code, None
    if away >= 0:
        # Of one moment, what sends the app to the background comes last.
        rank = np.arange(len(log.names)) + len(log.names) * (np.arange(len(log.names)) == away)
        code = kernels.ranked(log.code, log.ties, log.user, log.moment, rank)
        marked = kernels.frozen(code == away)
    gap_us, grace_us = kernels.at_least(gap), kernels.at_least(grace)
    starts = session_starts(log.user, log.moment, marked, gap_us, grace_us, kernels.compiled(len(log)))
    ends = np.append(starts[1:], len(log)) - 1 if len(starts) else starts
    names = pa.array(log.names, pa.string())
    last = log.moment[ends]
    left = np.full(len(ends), gap_us) if marked is None else np.where(marked[ends], min(gap_us, grace_us), gap_us)

    def moments(values: np.ndarray) -> pa.Array:
        return pa.array(values).cast(pa.timestamp("us"))

    return pa.table({
        "user_id": log.users.take(pa.array(log.user[starts])),
        "session_start": moments(log.moment[starts]), "session_end": moments(last),
        "events": pa.array(ends - starts + 1),
        "first_event": names.take(pa.array(code[starts])), "last_event": names.take(pa.array(code[ends])),
        "open_until": moments(last + left),
    })  # fmt: skip
