"""Funnels as passes over a sorted log; the statement of `funnel_sql` says the same in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prodsense.behavior import kernels
from prodsense.behavior.funnel_sql import Shape
from prodsense.behavior.kernels import NEVER
from prodsense.behavior.log import EventLog, micros

if TYPE_CHECKING:
    import numpy as np

#: Steps and exclusions are bits of one number.
MOST_STEPS = 30
#: A step without a window of its own.
NO_LIMIT = 2**62
#: Rows of the windows of entries that are laid out at a time.
_CHUNK = 4_000_000


def applies(shape: Shape) -> bool:
    """Whether a funnel of this shape has a kernel (slices are left to SQL, which has their columns)."""
    return len(shape.steps) <= MOST_STEPS


def count(log: EventLog, shape: Shape, since: datetime, until: datetime, as_of: datetime) -> dict[str, Any]:
    """The one row of the statement of a funnel without dimensions."""
    return Walk(log.until(as_of), shape).row(micros(since), micros(until), micros(as_of))


@dataclass(frozen=True)
class Walk:
    log: EventLog
    shape: Shape

    @property
    def fast(self) -> Any:
        return kernels.compiled(len(self.log))

    @cached_property
    def mask(self) -> np.ndarray:
        """Code → bit i where the event reaches step i, bit 32 + i where it ends the way to step i."""
        import numpy as np

        found = np.zeros(len(self.log.names), dtype=np.int64)
        for i, item in enumerate(self.shape.steps):
            for bit, events in ((i, item.events), (32 + i, item.without)):
                for name in events:
                    code = self.log.code_of(name)
                    if code >= 0:
                        found[code] |= 1 << bit
        return found

    @cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """User, moment and code; events of one moment in the order of the steps, exclusions and others after."""
        import numpy as np

        log, count = self.log, len(self.log.names)
        sets = list(dict.fromkeys(item.events for item in self.shape.steps))
        place = np.full(count, len(sets), dtype=np.int64)
        for i, events in reversed(list(enumerate(sets))):
            for name in events:
                if (known := log.code_of(name)) >= 0:
                    place[known] = i
        code = kernels.ranked(log.code, log.ties, log.user, log.moment, place * count + np.arange(count))
        return log.user, log.moment, kernels.frozen(code)

    def row(self, since: int, until: int, as_of: int) -> dict[str, Any]:
        import numpy as np

        shape = self.shape
        simple = shape.entries == "best" and shape.order == "ordered" and not any(
            item.within is not None or item.without for item in shape.steps if not item.optional
        )
        if simple:
            entries = self.best_entries(since, until, as_of - kernels.at_least(shape.least_age))
        else:
            entries = self._entries(since, until)
        user, moment, _ = self.arrays
        complete = as_of - moment[entries] >= kernels.at_least(shape.least_age)
        reached = np.full((len(entries), len(shape.steps)), NEVER, dtype=np.int64)
        reached[complete] = self._reached(entries[complete])
        reached[:, 0] = moment[entries]
        if shape.entries == "best" and not simple and len(entries):
            kept = self._best(user[entries], complete, reached)
            complete, reached = complete[kept], reached[kept]
        row: dict[str, Any] = {"n0": int(complete.sum()), "censored": int((~complete).sum())}
        for i in range(1, len(shape.steps)):
            there = reached[:, i] != NEVER
            row[f"n{i}"] = int(there.sum())
            p = 0 if shape.order == "any" and shape.steps[i].optional else shape.before(i)
            near = reached[there & (reached[:, p] != NEVER)]
            for j, q in enumerate(shape.quantiles):
                row[f"s{i}_{j}"] = kernels.quantile(near[:, i] - near[:, p], q)
                row[f"t{i}_{j}"] = kernels.quantile(reached[there, i] - reached[there, 0], q)
        return row

    def _entries(self, since: int, until: int) -> np.ndarray:
        import numpy as np

        user, moment, code = self.arrays
        steps = self.shape.required if self.shape.order == "any" else [0]
        enters = (self.mask & sum(1 << i for i in steps)) != 0
        first = self.shape.entries == "first"
        if self.fast is not None:
            return self.fast.entry_rows(user, moment, code, enters, since, until, first)
        rows = np.flatnonzero(enters[code])
        rows = rows[(moment[rows] >= since) & (moment[rows] < until)]
        if first and len(rows):
            rows = rows[np.append(True, user[rows[1:]] != user[rows[:-1]])]
        return rows

    def best_entries(self, since: int, until: int, over: int) -> np.ndarray:
        """Of each user the row of the best entry, where no required step has a window or an exclusion of its own.

        One pass instead of a walk for each entry: each row carries the latest entry from which each step can be
        reached at it, so the first row at which a user gets furthest is known. The earliest entry whose window holds
        that row is the best one. Entries after `over` are not over; they count for users without another.
        """
        import numpy as np

        user, moment, code = self.arrays
        chain = np.array(self.shape.required, dtype=np.int64)
        within = kernels.at_most(self.shape.within)
        if self.fast is not None:
            return self.fast.best_entries(user, moment, code, self.mask, chain, within, since, until, over)
        bits = self.mask[code]
        rows = np.flatnonzero(bits)
        bits, at, who = bits[rows], moment[rows], user[rows]
        enters = ((bits & 1) != 0) & (at >= since) & (at < until)
        whole = enters & (at <= over)
        begin = np.maximum.accumulate(np.where(np.append(True, who[1:] != who[:-1]), np.arange(len(rows)), 0))
        entries, going = np.flatnonzero(whole), np.flatnonzero(enters & ~whole)
        best, place = _unique(who[entries])
        # The earliest moment of the window of each user's best entry.
        least = np.full(len(best), NEVER, dtype=np.int64)
        carried = np.where(whole, np.arange(len(rows)), -1)
        for step in chain[1:].tolist():
            held = np.append(-1, np.maximum.accumulate(carried)[:-1]) if len(rows) else carried
            found = ((bits >> step & 1) != 0) & (held >= begin)
            found &= at - at[held] <= within
            carried = np.where(found, held, -1)
            hits = np.flatnonzero(found)
            users, firsts = _unique(who[hits])
            least[np.searchsorted(best, users)] = at[hits[firsts]] - within
        ends = np.append(place[1:], len(entries)) if len(place) else place
        chosen = kernels.first_in(place, ends, lambda i, users: at[entries[i]] >= least[users])
        late, first = _unique(who[going])
        alone = ~np.isin(late, best)
        return np.sort(np.append(rows[entries[chosen]], rows[going[first[alone]]]))

    def _best(self, user: np.ndarray, complete: np.ndarray, reached: np.ndarray) -> np.ndarray:
        """Of each user the entry that is over and gets furthest, the earliest of equals."""
        import numpy as np

        later = [i for i in self.shape.required if i]
        depth = (reached[:, later] != NEVER).sum(axis=1)
        order = np.lexsort((np.arange(len(user)), -depth, ~complete, user))
        return order[np.append(True, user[order[1:]] != user[order[:-1]])]

    @cached_property
    def _facts(self) -> dict[str, np.ndarray]:
        """By step: the required step before and after, whether it is required, its window, what ends the way."""
        import numpy as np

        shape = self.shape
        many = range(len(shape.steps))
        after = [shape.after(i) for i in many]
        limits = [item.within for item in shape.steps]
        return {
            "before": np.array([shape.before(i) if i else 0 for i in many], dtype=np.int64),
            "after": np.array([-1 if k is None else k for k in after], dtype=np.int64),
            "required": np.array([not item.optional for item in shape.steps]),
            "limit": np.array([NO_LIMIT if w is None else kernels.at_most(w) for w in limits], dtype=np.int64),
            "stops": np.array([1 << 32 + i if shape.steps[i].without else 0 for i in many], dtype=np.int64),
        }

    def _reached(self, entries: np.ndarray) -> np.ndarray:
        """(entries, steps): when each step was reached, NEVER where it was not."""
        import numpy as np

        shape, facts = self.shape, self._facts
        within = kernels.at_most(shape.within)
        if self.fast is not None:
            given = (*self.arrays, entries, self.mask, within)
            names = ("before", "after", "required", "limit")
            if shape.order == "any":
                return self._levels(self.fast.walk_any(*given, len(shape.steps)))
            if shape.order == "strict":
                return self.fast.walk_strict(*given, *(facts[name] for name in names))
            return self.fast.walk_ordered(*given, *(facts[name] for name in (*names, "stops")))
        parts = []
        for rows, offsets in self._windows(entries, within):
            if shape.order == "any":
                parts.append(self._levels(self.firsts(rows, offsets)))
            elif shape.order == "strict":
                parts.append(self.strict(rows, offsets))
            else:
                parts.append(self.ordered(rows, offsets))
        return np.concatenate(parts) if parts else np.empty((0, len(shape.steps)), dtype=np.int64)

    def _windows(self, entries: np.ndarray, within: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows of the windows of so many entries at a time: rows, and where each entry's begin among them."""
        import numpy as np

        user, moment, _ = self.arrays
        ends = np.searchsorted(user, user[entries], "right")
        if self.shape.order == "strict":
            ends = np.minimum(ends, entries + len(self.shape.steps))
        latest = moment[entries] + within
        ends = kernels.first_in(entries, ends, lambda rows, places: moment[rows] > latest[places])
        sizes = ends - entries
        done = 0
        total = np.cumsum(sizes)
        while done < len(entries):
            upto = max(int(np.searchsorted(total, (total[done - 1] if done else 0) + _CHUNK, "right")), done + 1)
            part = sizes[done:upto]
            offsets = np.cumsum(part) - part
            rows = np.arange(int(part.sum())) + np.repeat(entries[done:upto] - offsets, part)
            if self.shape.order != "strict":
                kept = self.mask[self.arrays[2][rows]] != 0
                # An entry is a step, so that no window becomes empty.
                offsets = (np.cumsum(kept) - kept)[offsets]
                rows = rows[kept]
            yield rows, offsets
            done = upto

    def _laid_out(self, rows: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of windows end to end: each row's steps as bits, moment and window; each window's first row by step."""
        import numpy as np

        _, moments, codes = self.arrays
        unit = np.zeros(len(rows), dtype=np.int64)
        unit[offsets[1:]] = 1
        first = np.full((len(offsets), len(self.shape.steps)), -1, dtype=np.int64)
        first[:, 0] = offsets
        return self.mask[codes[rows]], moments[rows], np.cumsum(unit), first

    def ordered(self, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Ordered: each step by the latest row before it that reached the step before."""
        import numpy as np

        facts = self._facts
        bits, moment, unit, first = self._laid_out(rows, offsets)
        here, begin = np.arange(len(rows)), offsets[unit]
        hits = {0: here == begin}
        for i in self.shape.required[1:]:
            p = facts["before"][i]
            found = (bits >> i & 1).astype(bool)
            last = _before(hits[p])
            found &= last >= begin
            found &= moment - moment[last] <= facts["limit"][i]
            if facts["stops"][i]:
                stopped = _before((bits & facts["stops"][i]) != 0)
                found &= stopped <= last
            hits[i] = found
            _first(found, unit, first[:, i])
        for i in self.shape.optional:
            p, after = facts["before"][i], facts["after"][i]
            since = first[unit, p]
            found = (bits >> i & 1).astype(bool) & (since >= 0) & (here > since)
            found &= moment - moment[since] <= facts["limit"][i]
            if after >= 0:
                end = first[unit, after]
                found &= (end < 0) | (here < end)
            _first(found, unit, first[:, i])
        return np.where(first >= 0, moment[first], NEVER) if len(rows) else first

    def strict(self, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Strict: the row before reached the step before, or an optional one between."""
        import numpy as np

        facts = self._facts
        bits, moment, unit, first = self._laid_out(rows, offsets)
        here, begin = np.arange(len(rows)), offsets[unit]
        hits = {0: here == begin}
        for i in range(1, len(self.shape.steps)):
            p = facts["before"][i]
            near = np.zeros(len(rows), dtype=bool)
            for k in range(p, i):
                near[1:] |= hits[k][:-1]
            found = (bits >> i & 1).astype(bool) & near & (here > begin)
            if facts["limit"][i] != NO_LIMIT:
                last = _before(hits[p])
                found &= (last >= begin) & (moment - moment[last] <= facts["limit"][i])
            hits[i] = found
            _first(found, unit, first[:, i])
        for i in self.shape.optional:
            if (after := facts["after"][i]) >= 0:
                end = first[:, after]
                first[(end >= 0) & (first[:, i] >= end), i] = -1
        return np.where(first >= 0, moment[first], NEVER) if len(rows) else first

    def firsts(self, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """When each step's events first happen in the window, whatever the order."""
        import numpy as np

        _, moments, codes = self.arrays
        bits, moment = self.mask[codes[rows]], moments[rows]
        unit = np.zeros(len(rows), dtype=np.int64)
        unit[offsets[1:]] = 1
        unit = np.cumsum(unit)
        first = np.full((len(offsets), len(self.shape.steps)), -1, dtype=np.int64)
        for i in range(len(self.shape.steps)):
            _first((bits >> i & 1).astype(bool), unit, first[:, i])
        return np.where(first >= 0, moment[first], NEVER) if len(rows) else first

    def _levels(self, firsts: np.ndarray) -> np.ndarray:
        """Any order: the k-th required step to be reached, whichever it is, is level k."""
        import numpy as np

        required = self.shape.required
        found = firsts.copy()
        moments = np.where(firsts[:, required] == NEVER, NO_LIMIT, firsts[:, required])
        moments.sort(axis=1)
        found[:, required] = np.where(moments == NO_LIMIT, NEVER, moments)
        return found


def _unique(users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of sorted numbers the different ones, and where each is first."""
    import numpy as np

    first = np.flatnonzero(np.append(True, users[1:] != users[:-1])) if len(users) else np.zeros(0, dtype=np.int64)
    return users[first], first


def _before(hits: np.ndarray) -> np.ndarray:
    """At each row, the last row before it that is a hit; -1 where none is."""
    import numpy as np

    latest = np.maximum.accumulate(np.where(hits, np.arange(len(hits)), -1))
    return np.append(-1, latest[:-1]) if len(hits) else latest


def _first(hits: np.ndarray, unit: np.ndarray, into: np.ndarray) -> None:
    """The first hit of each unit."""
    import numpy as np

    rows = np.flatnonzero(hits)
    if len(rows):
        rows = rows[np.append(True, unit[rows[1:]] != unit[rows[:-1]])]
        into[unit[rows]] = rows
