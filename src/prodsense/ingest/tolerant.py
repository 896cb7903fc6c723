"""Readers that never give up: what a broken text file holds, record by record.

The engine reads sound files at full speed and refuses broken ones as a whole. Then these readers part
the sound records, which the engine reads again, from the broken ones, which go to quarantine one by one.
They also fetch the original text of single rows.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from prodsense.errors import ContractError
from prodsense.ingest.rules import ENCODING, FIELDS, MALFORMED

#: An unclosed quote may swallow at most so many lines before it counts as a stray one.
MAX_QUOTED_LINES = 1000
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Broken:
    """A record that could not be taken apart. `row` counts data rows from 1."""

    row: int
    rule: str
    reason: str
    todo: str
    original: str


def open_bytes(path: str) -> BinaryIO:
    """Open a file for reading its plain bytes, decompressed by its suffix."""
    if path.lower().endswith((".gz", ".zst")):
        import pyarrow as pa

        return pa.CompressedInputStream(path, "gzip" if path.lower().endswith(".gz") else "zstd")
    return Path(path).open("rb")


def lines(path: str) -> Iterator[bytes]:
    """Lines of a file without their ends (LF, CRLF, or CR where there is no LF), a byte order mark dropped."""
    with open_bytes(path) as stream:
        rest = b""
        first = True
        while True:
            try:
                block = stream.read(1 << 22)
            except (OSError, EOFError) as error:
                raise ContractError(f"{path} cannot be decompressed ({error}); write it again") from None
            if first and block.startswith(BOM):
                block = block[len(BOM) :]
            if first and b"\n" not in block and b"\r" in block:
                yield from (block + stream.read()).replace(b"\r", b"\n").split(b"\n")
                return
            first = False
            if not block:
                break
            parts = (rest + block).split(b"\n")
            rest = parts.pop()
            for line in parts:
                yield line[:-1] if line.endswith(b"\r") else line
        if rest:
            yield rest[:-1] if rest.endswith(b"\r") else rest


def records(path: str, delimiters: str = ",;\t|") -> Iterator[bytes]:
    """Records of a CSV file, the header among them, blank ones left out; quoted fields may hold line ends.

    `delimiters` are the characters that part fields: one where it is known.
    """
    queue: list[bytes] = []
    source = lines(path)
    part = re.compile(b"[" + re.escape(delimiters.encode()) + b"]")

    def take() -> bytes | None:
        return queue.pop(0) if queue else next(source, None)

    while (line := take()) is not None:
        if not line:
            continue
        if b'"' not in line or not _open(line, part, False):
            yield line
            continue
        held = [line]
        inside = True
        while inside and len(held) < MAX_QUOTED_LINES and (following := take()) is not None:
            held.append(following)
            inside = _open(following, part, True)
        if inside:
            yield line
            queue[:0] = held[1:]
        else:
            yield b"\n".join(held)


def _open(line: bytes, part: re.Pattern[bytes], inside: bool) -> bool:
    """Whether a line ends inside a quoted field; `inside` says whether it begins in one.

    A quote opens a field only where the field begins, as the engine reads it; elsewhere it is a character.
    """
    place = 0
    while True:
        if not inside:
            first = place
            while line[first : first + 1] == b" ":
                first += 1
            inside = line[first : first + 1] == b'"'
            place = first + 1 if inside else place
        if inside:
            place = line.find(b'"', place) + 1
            if not place:
                return True
            if line[place : place + 1] == b'"':
                place += 1
                continue
            inside = False
        following = part.search(line, place)
        if following is None:
            return False
        place = following.end()


def fields(record: bytes, delimiter: str) -> list[str]:
    """The fields of one CSV record. Raises ValueError (UnicodeDecodeError for bytes that are no UTF-8)."""
    text = record.decode()
    if '"' not in text:
        return text.split(delimiter)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if len(rows) != 1:
        raise ValueError("unquoted line end")
    return rows[0]


def split_csv(path: str, width: int, delimiter: str, sound: BinaryIO) -> list[Broken]:
    """Write the sound records of a CSV file to `sound`, each behind its row number; return the others."""
    broken: list[Broken] = []
    todo = "correct the row in the source and load it again"
    separator = delimiter.encode()
    sound.write(b"_row" + separator + separator.join(b"c%d" % i for i in range(width)) + b"\n")
    plain = width - 1
    source = records(path, delimiter)
    next(source, None)
    for row, record in enumerate(source, 1):
        try:
            if b'"' not in record:
                if record.count(separator) == plain and b"\r" not in record:
                    record.decode()
                    sound.write(b"%d%b%b\n" % (row, separator, record))
                    continue
                cells = record.decode().split(delimiter)
            else:
                cells = fields(record, delimiter)
        except UnicodeDecodeError as error:
            reason = f"byte {error.object[error.start]:#04x} at position {error.start + 1} is no UTF-8"
            broken.append(Broken(row, ENCODING, reason, "write the file as UTF-8", as_text(record)))
            continue
        except ValueError as error:
            broken.append(Broken(row, MALFORMED, f"its quotes do not fit ({error})", todo, as_text(record)))
            continue
        if len(cells) == width + 1 and cells[-1] == "":
            cells.pop()  # A trailing delimiter ends the row; it starts no field.
        if len(cells) != width:
            reason = f"{len(cells)} fields where the header has {width}"
            broken.append(Broken(row, FIELDS, reason, todo, as_text(record)))
            continue
        quoted = delimiter.join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in cells)
        sound.write(b"%d%b%b\n" % (row, separator, quoted.encode()))
    return broken


def as_text(raw: bytes) -> str:
    """Bytes as text that says which are no UTF-8 (``\\xff``); nothing is dropped."""
    return raw.decode(errors="backslashreplace")


def parse_object(raw: bytes) -> tuple[dict[str, Any] | None, tuple[str, str, str] | None]:
    """One line of NDJSON: the object, or (rule, reason, what to do)."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        reason = f"byte {error.object[error.start]:#04x} at position {error.start + 1} is no UTF-8"
        return None, (ENCODING, reason, "write the file as UTF-8")
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None, (MALFORMED, "it holds half a character (a lone surrogate)", "write whole characters")
    except (ValueError, RecursionError) as error:
        return None, (MALFORMED, f"it is no JSON ({error})", "write one JSON object a line")
    if not isinstance(value, dict):
        kind = {list: "an array", str: "a text", bool: "true or false"}.get(type(value), "no object")
        return None, (MALFORMED, f"it is {kind} where an object belongs", "write one JSON object a line")
    return value, None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def cell_text(value: Any) -> str | None:
    """The text of a JSON value as the engine would hand it over: strings bare, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value
    if type(value) in (int, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def split_json(
    rows: Iterator[bytes] | Sequence[bytes], mapping: Mapping[str, str]
) -> tuple[dict[str, list[str | None]], list[int], list[Broken]]:
    """Take NDJSON lines apart in Python: columns of text, their row numbers, and the broken lines."""
    columns: dict[str, list[str | None]] = {name: [] for name in mapping}
    numbers: list[int] = []
    broken: list[Broken] = []
    for row, raw in enumerate((line for line in rows if line.strip()), 1):
        value, problem = parse_object(raw)
        if problem:
            broken.append(Broken(row, *problem, as_text(raw)))
            continue
        assert value is not None
        numbers.append(row)
        for name, key in mapping.items():
            columns[name].append(cell_text(value.get(key)))
    return columns, numbers, broken


def pick_lines(path: str, wanted: Sequence[int]) -> tuple[dict[int, bytes], int]:
    """The lines of a file with the numbers `wanted` (rising, from 1, blank ones not counted), and their number."""
    import numpy as np

    is_space = np.zeros(256, bool)
    is_space[list(b" \t\n\r\v\f")] = True
    found: dict[int, bytes] = {}
    place = row = 0
    rest = b""
    with open_bytes(path) as stream:
        while block := stream.read(1 << 22):
            block = rest + block
            cut = block.rfind(b"\n") + 1
            block, rest = block[:cut], block[cut:]
            if not block:
                continue
            content = np.frombuffer(block, np.uint8)
            ends = np.flatnonzero(content == ord("\n"))
            starts = np.concatenate(([0], ends[:-1] + 1))
            maybe_blank = np.flatnonzero(is_space[content[starts]])
            if len(maybe_blank):
                blank = [i for i in maybe_blank if not block[starts[i] : ends[i]].strip()]
                starts, ends = np.delete(starts, blank), np.delete(ends, blank)
            count = len(ends)
            while place < len(wanted) and wanted[place] <= row + count:
                at = wanted[place] - row - 1
                line = block[starts[at] : ends[at]]
                found[wanted[place]] = line[:-1] if line.endswith(b"\r") else line
                place += 1
            row += count
    if rest.strip():
        row += 1
        if place < len(wanted) and wanted[place] == row:
            found[row] = rest[:-1] if rest.endswith(b"\r") else rest
    return found, row


def pick(rows: Iterator[bytes], wanted: Sequence[int]) -> tuple[dict[int, bytes], int]:
    """The rows with the numbers `wanted` (from 1), and how many there are in all."""
    numbers = set(wanted)
    found: dict[int, bytes] = {}
    row = 0
    for row, raw in enumerate(rows, 1):
        if row in numbers:
            found[row] = raw
    return found, row
