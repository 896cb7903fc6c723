"""Work for workers: put jobs with a start and an end into time slots that never overlap.

`fill` is interval colouring by first-in-first-out: a job goes to the worker who has been free longest.
Written as a queue it is a loop over events; here it is solved without one. The queue first holds the
workers, then each job's worker at that job's end. So the n-th job to start takes the n-th entry of the
queue: a fresh worker while n < workers, else the worker of the job with the (n - workers)-th end. That
is a forest of pointers to earlier jobs, resolved by pointer doubling in O(n log n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Slots:
    """Which worker does which job.

    `worker`: per job, 0-based within its group. `previous`: per job the index of the same worker's job
    before it, or -1. `workers`: per group number, how many workers it has.
    """

    worker: NDArray[np.int64]
    previous: NDArray[np.int64]
    workers: NDArray[np.int64]


def concurrency(start: NDArray, end: NDArray, group: NDArray, groups: int) -> NDArray[np.int64]:
    """The largest number of jobs under way at one moment, per group; an end frees its worker at once."""
    n = start.size
    moment = np.concatenate([start, end])
    step = np.concatenate([np.ones(n, np.int64), -np.ones(n, np.int64)])
    which = np.concatenate([group, group])
    # At equal moments ends come before starts.
    order = np.lexsort((step, moment, which))
    running = np.cumsum(step[order])
    peak = np.zeros(groups, np.int64)
    np.maximum.at(peak, which[order], running)  # running is 0 between groups, so it needs no reset
    return peak


def fill(
    start: NDArray, end: NDArray, group: NDArray, groups: int, spare: float = 0.0, extra: int = 0
) -> Slots:
    """Give every job a worker of its group so that no worker has two at once.

    Args:
        start, end: moments of each job, shape (n,), any one unit, ``start < end``.
        group: group number of each job, shape (n,), 0 to ``groups - 1``; workers are not shared.
        groups: number of groups.
        spare: more workers than the least possible, as a fraction (0.25: a quarter more).
        extra: that many workers more on top. With ``extra=k`` the workers of the next k jobs of the
            group are idle whenever a job starts.
    """
    if np.any(end <= start):
        raise ValueError("every job must end after it starts")
    n = start.size
    workers = np.ceil(concurrency(start, end, group, groups) * (1.0 + spare)).astype(np.int64) + extra
    by_start = np.lexsort((start, group))
    by_end = np.lexsort((end, group))
    first = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    rank = np.arange(n) - first[group[by_start]]  # rank of the start within its group
    taken = rank - workers[group[by_start]]  # rank of the end whose worker it takes
    previous = np.full(n, -1, np.int64)
    fresh = taken < 0
    late = by_start[~fresh]
    previous[late] = by_end[first[group[late]] + taken[~fresh]]

    worker = np.zeros(n, np.int64)
    worker[by_start[fresh]] = rank[fresh]
    root = np.where(previous >= 0, previous, np.arange(n))
    while True:
        further = root[root]
        if np.array_equal(further, root):
            break
        root = further
    return Slots(worker=worker[root], previous=previous, workers=workers)
