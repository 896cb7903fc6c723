"""Time slots against a plain queue that is worked event by event."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.simulate import slots

JOBS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30), st.integers(0, 2)), max_size=40)


def most_at_once(jobs: list[tuple[int, int, int]], group: int) -> int:
    mine = [(s, s + d) for s, d, g in jobs if g == group]
    return max((sum(a <= start < b for a, b in mine) for start, _ in mine), default=0)


@settings(max_examples=200, deadline=None)
@given(JOBS)
def test_concurrency_is_the_brute_force_count(jobs: list[tuple[int, int, int]]) -> None:
    start, length, group = np.array(jobs, np.int64).reshape(-1, 3).T
    assert slots.concurrency(start, start + length, group, 3).tolist() == [most_at_once(jobs, g) for g in range(3)]


@settings(max_examples=200, deadline=None)
@given(JOBS, st.integers(0, 2))
def test_fill_never_overlaps_and_is_first_in_first_out(jobs: list[tuple[int, int, int]], extra: int) -> None:
    start, length, group = np.array(jobs, np.int64).reshape(-1, 3).T
    end = start + length
    filled = slots.fill(start, end, group, 3, extra=extra)
    for g in range(3):
        mine = np.flatnonzero(group == g)
        assert filled.workers[g] == most_at_once(jobs, g) + extra
        queue: deque[int] = deque(range(filled.workers[g]))
        by_start = mine[np.lexsort((mine, start[mine]))].tolist()
        by_end = deque(mine[np.lexsort((mine, end[mine]))].tolist())
        for job in by_start:
            while by_end and end[by_end[0]] <= start[job]:
                queue.append(int(filled.worker[by_end.popleft()]))
            assert queue.popleft() == filled.worker[job]
        for job in mine:
            before = filled.previous[job]
            if before >= 0:
                assert group[before] == g
                assert filled.worker[before] == filled.worker[job]
                assert end[before] <= start[job]


def test_a_job_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="end after"):
        slots.fill(np.array([3]), np.array([3]), np.array([0]), 1)
