"""Walks through sessions as passes over a sorted log; `paths.walked` says the same in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prodsense.behavior import kernels
from prodsense.behavior.kernels_sessions import session_starts
from prodsense.behavior.log import EventLog, micros

if TYPE_CHECKING:
    import numpy as np

#: Names of events of which every pair is counted.
MOST_NAMES = 4096
_Row = dict[str, Any]


def applies(log: EventLog) -> bool:
    return len(log.names) <= MOST_NAMES


@dataclass(frozen=True)
class SessionWalk:
    """Sessions of `log` that begin from `since` to `until` and are over at `as_of`; see `paths.walked`.

    `none` is what an event without a name is called.
    """

    log: EventLog
    gap: float
    since: datetime
    until: datetime
    as_of: datetime
    none: str
    start: str | None = None
    merge: bool = False

    @property
    def fast(self) -> Any:
        return kernels.compiled(len(self.log))

    @cached_property
    def names(self) -> list[str]:
        """Names that rows show: those of the log, a missing one as `none`."""
        return list(dict.fromkeys(self.none if name is None else name for name in self.log.names))

    @cached_property
    def _given(self) -> tuple[Any, ...]:
        """User, moment and label of the events, gap, since, until, as_of, label of the start, merge."""
        import numpy as np

        log = self.log.until(self.as_of)
        label = log.code
        if len(self.names) < len(log.names):
            # A missing name and an event that is called like it are one.
            to = [self.names.index(self.none if name is None else name) for name in log.names]
            label = np.array(to, dtype=log.code.dtype)[log.code]
        start = -1
        if self.start is not None:
            start = self.names.index(self.start) if self.start in self.names else len(self.names)
        # A gap is reached at the first microsecond that is as long in seconds.
        gap = kernels.at_least(self.gap)
        since, until, end = micros(self.since), micros(self.until), micros(self.as_of)
        return log.user, log.moment, kernels.frozen(label), gap, since, until, end, start, self.merge

    @cached_property
    def _walked(self) -> tuple[np.ndarray, np.ndarray, int, int]:
        """Rows of the walks, their step from 1, sessions that are over, sessions that may go on."""
        if self.fast is not None:
            return self.fast.session_walk(*self._given)
        return walk(*self._given)

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, int, int]:
        """Counts of (label, next label), the last index standing for start and end; sessions over and going on."""
        import numpy as np

        many = len(self.names)
        if self.fast is not None:
            user, moment, label, *rest = self._given
            return self.fast.pair_counts(user, moment, label, many, *rest)
        rows, step, whole, going = self._walked
        label = self._given[2][rows].astype(np.int64)
        pairs = np.zeros((many + 1, many + 1), dtype=np.int64)
        if len(rows):
            ends = np.append(step[1:] == 1, True)
            follows = np.append(label[1:], 0)
            follows[ends] = many
            flat = pairs.reshape(-1)
            flat += np.bincount(label * (many + 1) + follows, minlength=len(flat))
            pairs[many, :many] += np.bincount(label[step == 1], minlength=many)
        return pairs, whole, going

    @property
    def sessions(self) -> tuple[int, int]:
        """Sessions that are over, and those left out since they may go on."""
        if "_pairs" in self.__dict__:
            return int(self._pairs[1]), int(self._pairs[2])
        return int(self._walked[2]), int(self._walked[3])

    def steps(self, most: int) -> list[_Row]:
        """Sessions by ``step``, ``event_name`` and ``next_name`` (None at the end), up to step `most`."""
        import numpy as np

        rows, step, _, _ = self._walked
        many = len(self.names) + 1
        label = self._given[2][rows]
        kept = np.flatnonzero(step <= most)
        follows = np.full(len(kept), many - 1, dtype=np.int64)
        inside = kept + 1 < len(rows)
        inside[inside] = step[kept[inside] + 1] > 1
        follows[inside] = label[kept[inside] + 1]
        key = (step[kept].astype(np.int64) * many + label[kept]) * many + follows
        found, counts = np.unique(key, return_counts=True)
        return [
            {"step": k // many // many, "event_name": self.names[k // many % many],
             "next_name": None if k % many == many - 1 else self.names[k % many], "sessions": n}
            for k, n in zip(found.tolist(), counts.tolist(), strict=True)
        ]  # fmt: skip

    def pairs(self) -> list[_Row]:
        """``source``, ``target`` (None at the end), ``times`` and ``p50``, the median seconds between the two."""
        import numpy as np

        pairs, _, _ = self._pairs
        many = len(self.names)
        inner = pairs[:many, :many].ravel()
        spans = self._spans()
        ends = np.cumsum(inner)
        medians = {
            int(k): kernels.quantile(spans[ends[k] - inner[k] : ends[k]], 0.5) for k in np.flatnonzero(inner)
        }
        return [
            {"source": self.names[a], "target": None if b == many else self.names[b], "times": int(pairs[a, b]),
             "p50": None if b == many else medians[int(a) * many + int(b)]}
            for a, b in zip(*np.nonzero(pairs[:many]), strict=True)
        ]  # fmt: skip

    def _spans(self) -> np.ndarray:
        """Microseconds between the two events of each pair, sorted by (label, next label)."""
        import numpy as np

        many = len(self.names)
        user, moment, label, *rest = self._given
        if self.fast is not None:
            return self.fast.pair_spans(user, moment, label, many, self._pairs[0], *rest)
        rows, step, _, _ = self._walked
        inside = np.flatnonzero(step[1:] > 1)
        key = label[rows[inside]].astype(np.int64) * many + label[rows[inside + 1]]
        kind = np.uint16 if many <= 256 else np.int64  # 16 bits are sorted by counting
        return (moment[rows[inside + 1]] - moment[rows[inside]])[np.argsort(key.astype(kind), kind="stable")]

    def begun(self) -> list[_Row]:
        """``target`` and ``times`` of the first events."""
        import numpy as np

        first = self._pairs[0][len(self.names)]
        return [{"target": self.names[k], "times": int(first[k])} for k in np.flatnonzero(first)]


def walk(
    user: np.ndarray, moment: np.ndarray, label: np.ndarray, gap: int, since: int, until: int, end: int, start: int,
    merge: bool,
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Rows of the walks, their step from 1, sessions that are over at `end`, sessions that may go on.

    `start` is the label at which a walk begins (-1: with the session), `merge` takes repeats as one.
    """
    import numpy as np

    begins = session_starts(user, moment, None, gap, 0)
    if not len(begins):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32), 0, 0
    sizes = np.diff(np.append(begins, len(user)))
    ends = begins + sizes - 1
    inside = (moment[begins] >= since) & (moment[begins] < until)
    over = end - moment[ends] >= gap
    whole, going = int((inside & over).sum()), int((inside & ~over).sum())
    session = np.repeat(np.arange(len(begins), dtype=np.int32), sizes)
    kept = np.repeat(inside & over, sizes)
    if start >= 0:
        hits = np.flatnonzero(kept & (label == start))
        anchor = np.full(len(begins), len(user), dtype=np.int64)
        first = hits[np.append(True, session[hits[1:]] != session[hits[:-1]])] if len(hits) else hits
        anchor[session[first]] = first
        kept &= np.arange(len(user)) >= anchor[session]
    rows = np.flatnonzero(kept)
    number = session[rows]
    if merge and len(rows):
        again = np.append(False, (label[rows[1:]] == label[rows[:-1]]) & (number[1:] == number[:-1]))
        rows, number = rows[~again], number[~again]
    if not len(rows):
        return rows, np.zeros(0, dtype=np.int32), whole, going
    new = np.append(True, number[1:] != number[:-1])
    firsts = np.flatnonzero(new)
    lengths = np.diff(np.append(firsts, len(rows)))
    step = np.arange(len(rows)) - np.repeat(firsts, lengths) + 1
    return rows, step.astype(np.int32), whole, going
