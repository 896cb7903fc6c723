"""NDJSON lines as events: whole batches by Arrow's reader where they are regular, else line by line.

Both ways give the same events; the fast one takes a batch only when it cannot mean anything else.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

#: Fields that streams read: ids (text or whole numbers), the time as text, the length of a view as a number.
_IDS = ("session_id", "user_id", "event_type", "event_id", "post_id")
_TIME, _LENGTH = "timestamp", "view_duration_seconds"

#: Below this, setting Arrow up costs more than it saves.
_FEW = 50


@dataclass(frozen=True)
class Intake:
    """What was read: `lines` that held events, and `malformed` lines that were no JSON object."""

    lines: int = 0
    malformed: int = 0

    def __add__(self, other: Intake) -> Intake:
        return Intake(self.lines + other.lines, self.malformed + other.malformed)


def parse_lines(lines: Iterable[str | bytes]) -> tuple[list[dict[str, Any]], Intake]:
    """The JSON objects of NDJSON lines; blank lines are nothing."""
    events, malformed = [], 0
    for line in lines:
        if not line.strip():
            continue
        event = load_object(line)
        if event is None:
            malformed += 1
        else:
            events.append(event)
    return events, Intake(len(events), malformed)


def decode_lines(lines: Sequence[str | bytes]) -> tuple[pa.Table | list[dict[str, Any]], Intake]:
    """The events of NDJSON lines, as a table of the fields that streams read or as objects; blank lines are nothing."""
    table = _by_arrow(lines) if len(lines) >= _FEW else None
    return parse_lines(lines) if table is None else (table, Intake(table.num_rows))


def _by_arrow(lines: Sequence[str | bytes]) -> pa.Table | None:
    """The lines as a table; None where one of them is no plain object or fields are of several types."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    full = [line.strip() for line in lines if isinstance(line, bytes)]
    full = [line for line in full if line]
    # One object a line, begun and ended there: Arrow's reader does not care where lines break.
    if not full or isinstance(lines[0], str) or not all(one[0] == 0x7B and one[-1] == 0x7D for one in full):
        return None
    first = load_object(full[0])
    data = b"\n".join(full)
    if first is None or b"\0" in data:
        return None
    kinds: dict[str, Any] = {name: pa.int64() if type(first.get(name)) is int else pa.string() for name in _IDS}
    schema = pa.schema({**kinds, _TIME: pa.string(), _LENGTH: pa.float64()})
    try:
        data.decode()
        table = arrow_json.read_json(
            io.BytesIO(data),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (UnicodeDecodeError, pa.ArrowException):
        return None
    return table if table.num_rows == len(full) else None


def load_object(line: str | bytes) -> dict[str, Any] | None:
    """The object that a line holds; None where it holds none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
