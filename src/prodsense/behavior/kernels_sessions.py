"""Where sessions begin, on arrays sorted by subject and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def session_starts(
    subject: np.ndarray, moment: np.ndarray, background: np.ndarray | None, gap: int, grace: int
) -> np.ndarray:
    """Positions of the first event of each session, rising; int64.

    `subject` (n) holds a number per user and device, `moment` (n) microseconds, `background` (n) whether the event
    sends the app to the background. Rows are sorted by subject and moment. `gap` and `grace` are in microseconds:
    a session ends when the next event is `gap` or more away, or `grace` or more after going to the background.
    """
    import numpy as np

    if not len(subject):
        return np.zeros(0, dtype=np.int64)
    away = np.diff(moment)
    starts = away >= gap
    if background is not None:
        starts |= background[:-1] & (away >= grace)
    starts |= subject[1:] != subject[:-1]
    return np.concatenate([[0], np.flatnonzero(starts) + 1]).astype(np.int64)
