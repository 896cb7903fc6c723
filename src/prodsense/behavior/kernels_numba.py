"""The compiled forms of the kernels (the extra ``fast``); imported only where they are used.

Each function says the same as its namesake in NumPy. They release the interpreter's lock and are compiled once on a
machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from prodsense.behavior.kernels import NEVER


@njit(cache=True, nogil=True)
def session_starts(subject, moment, away, gap, grace):
    """See `kernels_sessions.session_starts`; `away` is empty where there is no background."""
    n = len(subject)
    count = 1
    marked = len(away) > 0
    for i in range(1, n):
        span = moment[i] - moment[i - 1]
        if subject[i] != subject[i - 1] or span >= gap or (marked and span >= grace and away[i - 1]):
            count += 1
    starts = np.empty(count, dtype=np.int64)
    starts[0] = 0
    at = 1
    for i in range(1, n):
        span = moment[i] - moment[i - 1]
        if subject[i] != subject[i - 1] or span >= gap or (marked and span >= grace and away[i - 1]):
            starts[at] = i
            at += 1
    return starts


@njit(cache=True, nogil=True)
def merged(user, moment, code, gone, new_user, new_moment, new_code, to_user, to_moment, to_code):
    """Two sorted runs as one, without the old rows that are gone; the last three arrays are filled."""
    n, m = len(user), len(new_user)
    i = 0
    j = 0
    at = 0
    while i < n or j < m:
        if i < n and gone[i]:
            i += 1
            continue
        old = j == m
        if i < n and j < m:
            if user[i] != new_user[j]:
                old = user[i] < new_user[j]
            elif moment[i] != new_moment[j]:
                old = moment[i] < new_moment[j]
            else:
                old = code[i] <= new_code[j]
        if old:
            to_user[at] = user[i]
            to_moment[at] = moment[i]
            to_code[at] = code[i]
            i += 1
        else:
            to_user[at] = new_user[j]
            to_moment[at] = new_moment[j]
            to_code[at] = new_code[j]
            j += 1
        at += 1


@njit(cache=True, nogil=True)
def entry_rows(user, moment, code, enters, since, until, only_first):
    """Rows that enter: events of the codes in `enters`, from `since` (inside) to `until` (outside)."""
    n = len(user)
    count = 0
    last = -1
    for i in range(n):
        if enters[code[i]] and since <= moment[i] < until and not (only_first and user[i] == last):
            count += 1
            last = user[i]
    rows = np.empty(count, dtype=np.int64)
    at = 0
    last = -1
    for i in range(n):
        if enters[code[i]] and since <= moment[i] < until and not (only_first and user[i] == last):
            rows[at] = i
            at += 1
            last = user[i]
    return rows


@njit(cache=True, nogil=True)
def best_entries(user, moment, code, mask, chain, within, since, until, over):
    """See `kernels_funnel.Walk.best_entries`."""
    n = len(user)
    users = 0
    for i in range(n):
        if i == 0 or user[i] != user[i - 1]:
            users += 1
    rows = np.empty(users, dtype=np.int64)
    steps = len(chain)
    begun = np.empty(steps, dtype=np.int64)
    at = 0
    i = 0
    while i < n:
        begun[:] = -1
        depth = 0
        hit = np.int64(0)
        whole = -1
        going = -1
        j = i
        while j < n and user[j] == user[i]:
            bits = mask[code[j]]
            if bits:
                for k in range(steps - 1, 0, -1):
                    start = begun[k - 1]
                    if bits >> chain[k] & 1 and start >= 0 and moment[j] - moment[start] <= within:
                        if start > begun[k]:
                            begun[k] = start
                        if k > depth:
                            depth = k
                            hit = moment[j]
                if bits & 1 and since <= moment[j] < until:
                    if moment[j] <= over:
                        begun[0] = j
                        if whole < 0:
                            whole = j
                    elif going < 0:
                        going = j
            j += 1
        if whole >= 0:
            if depth:
                while not (mask[code[whole]] & 1 and moment[whole] >= hit - within and since <= moment[whole] < until):
                    whole += 1
            rows[at] = whole
            at += 1
        elif going >= 0:
            rows[at] = going
            at += 1
        i = j
    return rows[:at]


@njit(cache=True, nogil=True)
def walk_ordered(user, moment, code, entries, mask, within, before, after, required, limit, stops):
    """See `kernels_funnel.Walk.ordered`."""
    steps = len(before)
    reached = np.full((len(entries), steps), NEVER, dtype=np.int64)
    last = np.empty(steps, dtype=np.int64)
    last_row = np.empty(steps, dtype=np.int64)
    first_row = np.empty(steps, dtype=np.int64)
    stop = np.empty(steps, dtype=np.int64)
    n = len(user)
    some_optional = not required.all()
    for e in range(len(entries)):
        row = entries[e]
        last_row[:] = -1
        first_row[:] = -1
        stop[:] = -1
        last[0] = moment[row]
        last_row[0] = row
        first_row[0] = row
        reached[e, 0] = moment[row]
        bits = mask[code[row]]
        for i in range(1, steps):
            if stops[i] and bits & stops[i]:
                stop[i] = row
        j = row + 1
        while j < n and user[j] == user[row] and moment[j] - moment[row] <= within:
            bits = mask[code[j]]
            if bits:
                for i in range(steps - 1, 0, -1):
                    p = before[i]
                    if (
                        required[i] and bits >> i & 1 and last_row[p] >= 0
                        and moment[j] - last[p] <= limit[i] and stop[i] <= last_row[p]
                    ):
                        last[i] = moment[j]
                        last_row[i] = j
                        if first_row[i] < 0:
                            first_row[i] = j
                            reached[e, i] = moment[j]
                for i in range(1, steps):
                    if stops[i] and bits & stops[i]:
                        stop[i] = j
            j += 1
        if some_optional:
            for i in range(1, steps):
                p = before[i]
                if required[i] or first_row[p] < 0:
                    continue
                end = j if after[i] < 0 or first_row[after[i]] < 0 else first_row[after[i]]
                for k in range(first_row[p] + 1, end):
                    if mask[code[k]] >> i & 1 and moment[k] - reached[e, p] <= limit[i]:
                        reached[e, i] = moment[k]
                        break
    return reached


@njit(cache=True, nogil=True)
def walk_strict(user, moment, code, entries, mask, within, before, after, required, limit):
    """See `kernels_funnel.Walk.strict`."""
    steps = len(before)
    reached = np.full((len(entries), steps), NEVER, dtype=np.int64)
    last = np.empty(steps, dtype=np.int64)
    first_row = np.empty(steps, dtype=np.int64)
    n = len(user)
    for e in range(len(entries)):
        row = entries[e]
        last[:] = NEVER
        first_row[:] = -1
        last[0] = moment[row]
        reached[e, 0] = moment[row]
        held = 1
        j = row + 1
        while (
            j < n and j < row + steps and held and user[j] == user[row] and moment[j] - moment[row] <= within
        ):
            bits = mask[code[j]]
            now = 0
            for i in range(steps - 1, 0, -1):
                p = before[i]
                if not bits >> i & 1:
                    continue
                near = False
                for k in range(p, i):
                    if held >> k & 1:
                        near = True
                if near and (limit[i] == 2**62 or (last[p] != NEVER and moment[j] - last[p] <= limit[i])):
                    now |= 1 << i
            for i in range(1, steps):
                if now >> i & 1:
                    last[i] = moment[j]
                    if first_row[i] < 0:
                        first_row[i] = j
                        reached[e, i] = moment[j]
            held = now
            j += 1
        for i in range(1, steps):
            # An optional step counts before the required one after it only.
            if not required[i] and first_row[i] >= 0 and after[i] >= 0:
                end = first_row[after[i]]
                if end >= 0 and first_row[i] >= end:
                    reached[e, i] = NEVER
    return reached


@njit(cache=True, nogil=True)
def walk_any(user, moment, code, entries, mask, within, steps):
    """See `kernels_funnel.Walk.firsts`."""
    firsts = np.full((len(entries), steps), NEVER, dtype=np.int64)
    n = len(user)
    for e in range(len(entries)):
        row = entries[e]
        j = row
        left = steps
        while left and j < n and user[j] == user[row] and moment[j] - moment[row] <= within:
            bits = mask[code[j]]
            if bits:
                for i in range(steps):
                    if bits >> i & 1 and firsts[e, i] == NEVER:
                        firsts[e, i] = moment[j]
                        left -= 1
            j += 1
    return firsts


@njit(cache=True, nogil=True)
def session_walk(user, moment, label, gap, since, until, end, start, merge):
    """See `kernels_paths.walk`: rows kept, their step, sessions over and sessions that may go on."""
    n = len(user)
    rows = np.empty(n, dtype=np.int64)
    step = np.empty(n, dtype=np.int32)
    at = 0
    whole = 0
    going = 0
    i = 0
    while i < n:
        j = i + 1
        while j < n and user[j] == user[i] and moment[j] - moment[j - 1] < gap:
            j += 1
        if since <= moment[i] < until:
            if end - moment[j - 1] >= gap:
                whole += 1
                number = 0
                for k in range(i, j):
                    if number == 0 and start >= 0 and label[k] != start:
                        continue
                    if merge and number and label[k] == label[rows[at - 1]]:
                        continue
                    number += 1
                    rows[at] = k
                    step[at] = number
                    at += 1
            else:
                going += 1
        i = j
    return rows[:at], step[:at], whole, going


@njit(cache=True, nogil=True)
def pair_counts(user, moment, label, labels, gap, since, until, end, start, merge):
    """Of the same walk: counts of (label, next label), the last index standing for start and end."""
    n = len(user)
    pairs = np.zeros((labels + 1, labels + 1), dtype=np.int64)
    whole = 0
    going = 0
    i = 0
    while i < n:
        j = i + 1
        while j < n and user[j] == user[i] and moment[j] - moment[j - 1] < gap:
            j += 1
        if since <= moment[i] < until:
            if end - moment[j - 1] >= gap:
                whole += 1
                held = labels
                for k in range(i, j):
                    if held == labels and start >= 0 and label[k] != start:
                        continue
                    if merge and label[k] == held:
                        continue
                    pairs[held, label[k]] += 1
                    held = label[k]
                if held != labels:
                    pairs[held, labels] += 1
            else:
                going += 1
        i = j
    return pairs, whole, going


@njit(cache=True, nogil=True)
def pair_spans(user, moment, label, labels, pairs, gap, since, until, end, start, merge):
    """Spans between the two events of each pair, pair after pair in the order of (label, next label)."""
    n = len(user)
    place = np.zeros((labels, labels), dtype=np.int64)
    total = 0
    for a in range(labels):
        for b in range(labels):
            place[a, b] = total
            total += pairs[a, b]
    spans = np.empty(total, dtype=np.int64)
    i = 0
    while i < n:
        j = i + 1
        while j < n and user[j] == user[i] and moment[j] - moment[j - 1] < gap:
            j += 1
        if since <= moment[i] < until and end - moment[j - 1] >= gap:
            held = labels
            was = np.int64(0)
            for k in range(i, j):
                if held == labels and start >= 0 and label[k] != start:
                    continue
                if merge and label[k] == held:
                    continue
                if held != labels:
                    spans[place[held, label[k]]] = moment[k] - was
                    place[held, label[k]] += 1
                held = label[k]
                was = moment[k]
        i = j
    return spans
