"""From an input to groups of rows that the engine can scan: one group for files of one format and header.

A group knows its columns' types, how to scan it, what in it was broken, and how to fetch the original
text of single rows.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.engines import duckdb_scan as scan
from prodsense.errors import ContractError, EngineError, UsageError, did_you_mean
from prodsense.ingest import tolerant
from prodsense.ingest.discover import File, readable
from prodsense.ingest.rules import FLOATS, INTEGERS, normal

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest.discover import Input

#: Lines of NDJSON that are looked at for their keys.
SAMPLE = 1000
#: Largest share of NULL, 0 and 1 (in the sample) with which the engine parses a column of numbers itself.
ODD_SHARE = 0.005

#: (original text; the same as a JSON object, or None when the text is one or cannot be taken apart).
Original = tuple[str, str | None]
#: (rule, reason, what to do).
Problem = tuple[str, str, str]
#: Columns of text, the numbers of their rows, and the rows that could not be taken apart.
Again = tuple[dict[str, list[str | None]], list[int], list[int]]


@dataclass
class Group:
    """Files (or one data object) that are scanned together.

    `scan` yields the contracted columns that are there (`types`) and ``_file``, counted from the group's
    first file; `numbered` scans yield ``_row`` too. A `steady` scan may run twice at little cost.
    """

    scan: str
    types: dict[str, str]
    files: list[File]
    steady: bool = False
    numbered: bool = False
    broken: list[tuple[int, tolerant.Broken]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    originals: Callable[[int, Sequence[int], int], dict[int, Original]] = lambda file, rows, total: {}
    #: Other groups for the same rows, for when the engine refuses the scan or doubts too many rows.
    fallback: Callable[[], list[Group]] | None = None
    #: Numbers that the engine parsed itself: NULL may stand for what is no number, 1 and 0 for true and false.
    parsed: tuple[str, ...] = ()
    #: Reads rows of a file as text: those that are bad, and those of odd numbers that hold true or false.
    again: Callable[[int, Sequence[int], Sequence[int], int], Again] | None = None
    #: What keeps a row of a file from being a JSON object, as (rule, reason, what to do).
    problem: Callable[[int, int], Problem | None] = lambda file, row: None
    #: Required columns that no sampled row had; fatal when no row has them.
    suspects: tuple[str, ...] = ()


class Reader:
    """Reads one input; holds temporary files and registered data until closed."""

    def __init__(self, engine: DuckDBEngine, table: Table, stack: ExitStack):
        self.engine = engine
        self.table = table
        self.stack = stack

    def groups(self, source: Input, files: Sequence[File]) -> list[Group]:
        """Groups of `files`, in their order, or of the input's data."""
        if source.data is not None:
            return [self._data(source)]
        found: list[Group] = []
        for kind, run in itertools.groupby(files, key=lambda file: file.format):
            for file in (batch := list(run)):
                readable(file)
            found += {"parquet": self._parquet, "csv": self._csv, "json": self._json}[kind](batch)
        return found

    # -- typed sources -----------------------------------------------------------------------------

    def _parquet(self, files: list[File]) -> list[Group]:
        paths = [file.path for file in files]
        try:
            columns = scan.parquet_columns(self.engine, paths)
        except EngineError as error:
            names = ", ".join(Path(p).name for p in paths[:3])
            raise ContractError(f"{names}: no Parquet that can be read ({error}); write it again") from None
        mapping, warnings = self._match(list(columns), paths[0])
        types = {name: columns[source] for name, source in mapping.items()}

        def originals(file: int, rows: Sequence[int], total: int) -> dict[int, Original]:
            return self._rescan(scan.parquet_rows(paths[file]), rows)

        return [Group(scan.parquet(paths, mapping), types, files, True, warnings=warnings, originals=originals)]

    def _data(self, source: Input) -> Group:
        import pyarrow as pa

        data = source.data
        if isinstance(data, str):
            from prodsense.ingest.postgres import read_table

            data = self.stack.enter_context(read_table(data))
        data = to_arrow(data, self.table.relation)
        if isinstance(data, pa.RecordBatchReader):
            # A stream can be read only once: it is kept as it came.
            name = self.stack.enter_context(self.engine.temporary(data))
            kept = f"temp.main.stream_{id(data)}"
            self.engine.raw(f"CREATE OR REPLACE TEMP TABLE {kept} AS SELECT * FROM {name}")
            self.stack.callback(self.engine.raw, f"DROP TABLE IF EXISTS {kept}")
            name = kept
        else:
            name = self.stack.enter_context(self.engine.temporary(data))
        return self.relation(name, source.source)

    def relation(self, name: str, label: str) -> Group:
        """A group over a relation of the engine (registered data, a temporary table)."""
        columns = scan.describe(self.engine, f"SELECT * FROM {name}")
        mapping, warnings = self._match(list(columns), label)
        picked = ", ".join(f"{scan.name(source)} AS {scan.name(target)}" for target, source in mapping.items())

        def originals(file: int, rows: Sequence[int], total: int) -> dict[int, Original]:
            return self._rescan(f"SELECT *, ROW_NUMBER() OVER () AS _row FROM {name}", rows)

        return Group(
            f"SELECT {picked}, 0 AS _file FROM {name}", {t: columns[s] for t, s in mapping.items()},
            [File(label, "data")], True, warnings=warnings, originals=originals,
        )  # fmt: skip

    def _rescan(self, select: str, rows: Sequence[int]) -> dict[int, Original]:
        """Whole rows as JSON objects of text, from a SELECT that numbers them."""
        import pyarrow as pa

        columns = [c for c in scan.describe(self.engine, select) if c != "_row"]
        cells = ", ".join(f"{scan.name(c)} := CAST({scan.name(c)} AS VARCHAR)" for c in columns)
        with self.engine.temporary(pa.table({"_row": pa.array(rows, pa.int64())})) as wanted:
            found = self.engine.raw(
                f"SELECT _row, CAST(TO_JSON(STRUCT_PACK({cells})) AS VARCHAR) FROM ({select}) AS source"
                f" WHERE _row IN (SELECT _row FROM {wanted})"
            ).fetchall()
        return {row: (text, None) for row, text in found}

    # -- CSV ---------------------------------------------------------------------------------------

    def _csv(self, files: list[File]) -> list[Group]:
        found: list[Group] = []
        heads = [(file, self._head(file)) for file in files]
        for head, run in itertools.groupby(heads, key=lambda pair: pair[1]):
            batch = [file for file, _ in run]
            if head is None:
                names = dict.fromkeys(self.table.columns, "VARCHAR")
                nothing = ", ".join(f"CAST(NULL AS VARCHAR) AS {scan.name(n)}" for n in names)
                warning = f"{', '.join(Path(f.name).name for f in batch)}: the file is empty"
                found.append(Group(f"SELECT {nothing}, 0 AS _file WHERE FALSE", names, batch, warnings=[warning]))
                continue
            found.append(self._csv_group(batch, *head))
        return found

    def _head(self, file: File) -> tuple[tuple[str, ...], str] | None:
        record = next(tolerant.records(file.path), None)
        if record is None:
            return None
        best: tuple[int, int, tuple[str, ...], str] | None = None
        problem: ValueError | None = None
        for rank, delimiter in enumerate(",;\t|"):
            try:
                header = tuple(cell.strip() for cell in tolerant.fields(record, delimiter))
            except ValueError as error:
                # A quoted header can be taken apart by its own delimiter only.
                problem = problem or error
                continue
            score = sum(name.lower() in self.table.columns for name in header)
            if best is None or score > best[0]:
                best = (score, rank, header, delimiter)
        if best is None:
            raise ContractError(f"{file.name}: its header cannot be read ({problem}); write it as UTF-8 CSV")
        return best[2], best[3]

    def _csv_group(self, files: list[File], header: tuple[str, ...], delimiter: str) -> Group:
        paths = [file.path for file in files]
        mapping, warnings = self._match(header, paths[0])
        places = {name: header.index(source) for name, source in mapping.items()}
        types = dict.fromkeys(mapping, "VARCHAR")

        def originals(file: int, rows: Sequence[int], total: int) -> dict[int, Original]:
            return csv_originals(paths[file], header, delimiter, rows)

        def fallback() -> list[Group]:
            return [self._broken_csv(file, header, delimiter, places, originals) for file in files]

        return Group(
            scan.csv(paths, header, delimiter, places), types, files,
            warnings=warnings, originals=originals, fallback=fallback,
        )  # fmt: skip

    def _broken_csv(
        self, file: File, header: tuple[str, ...], delimiter: str, places: Mapping[str, int], originals: Any
    ) -> Group:
        sound = self.stack.enter_context(tempfile.NamedTemporaryFile(suffix=".csv"))  # noqa: SIM115
        broken = tolerant.split_csv(file.path, len(header), delimiter, sound)  # type: ignore[arg-type]
        sound.flush()
        shifted = {name: place + 1 for name, place in places.items()}
        select = scan.csv([sound.name], ["_row", *header], delimiter, {**shifted, "_row": 0})
        group = Group(
            select, dict.fromkeys(places, "VARCHAR"), [file], numbered=True,
            broken=[(0, b) for b in broken],
        )  # fmt: skip
        group.originals = lambda _, rows, total: csv_originals(file.path, header, delimiter, rows)
        return group

    # -- JSON --------------------------------------------------------------------------------------

    def _json(self, files: list[File]) -> list[Group]:
        found: list[Group] = []
        # A JSON array, a byte order mark, old line ends and a file of one byte, which the engine takes for empty,
        # need the careful reader; so they stand alone.
        for plain, run in itertools.groupby(files, key=self._plain_json):
            batch = list(run)
            found += [self._json_lines(batch)] if plain else [self._careful_json(file) for file in batch]
        return found

    def _plain_json(self, file: File) -> bool:
        with tolerant.open_bytes(file.path) as stream:
            try:
                start = stream.read(1 << 16)
            except OSError as error:
                raise ContractError(f"{file.name} cannot be decompressed ({error}); write it again") from None
        old_ends = b"\r" in start and b"\n" not in start
        return not (start.startswith(tolerant.BOM) or old_ends or is_array(start) or len(start) == 1)

    def _keys(self, source: Iterator[bytes]) -> tuple[list[str], bool]:
        """Keys of the first objects, and whether there was any object."""
        keys: dict[str, None] = {}
        seen = False
        for raw in itertools.islice(source, SAMPLE):
            value, _ = tolerant.parse_object(raw) if raw.strip() else (None, None)
            if value is not None:
                seen = True
                keys.update(dict.fromkeys(value))
        return list(keys), seen

    def _json_mapping(
        self, sources: Sequence[Iterator[bytes]], label: str
    ) -> tuple[dict[str, str], list[str], tuple[str, ...]]:
        """(contracted column → key, warnings, required columns that no key was seen for)."""
        keys: dict[str, None] = {}
        seen = False
        for source in sources:
            some, any_object = self._keys(source)
            seen = seen or any_object
            keys.update(dict.fromkeys(some))
        if not seen:
            return {name: name for name in self.table.columns}, [], ()
        mapping, warnings = self._match(list(keys), label, partial=True)
        suspects = tuple(c.name for c in self.table.columns.values() if c.required and c.name not in mapping)
        # A key may come up later in the file than the sample goes.
        return {name: mapping.get(name, name) for name in self.table.columns}, warnings, suspects

    def _json_lines(self, files: list[File]) -> Group:
        paths = [file.path for file in files]
        mapping, warnings, suspects = self._json_mapping([tolerant.lines(p) for p in paths], paths[0])
        identity = all(name == key for name, key in mapping.items())

        held: dict[int, dict[int, bytes]] = {}

        def lines(file: int, rows: Sequence[int], total: int) -> dict[int, bytes]:
            known = held.get(file, {})
            if all(row in known for row in rows):
                return known
            held[file], count = tolerant.pick_lines(paths[file], rows)
            if count != total:
                raise ContractError(f"{paths[file]}: changed while it was read ({count:,} rows, {total:,} before)")
            return held[file]

        def originals(file: int, rows: Sequence[int], total: int) -> dict[int, Original]:
            picked = lines(file, rows, total)
            return {row: json_original(picked[row], mapping, identity) for row in rows}

        def again(
            file: int, bad: Sequence[int], odd: Sequence[int], total: int
        ) -> Again:
            picked = lines(file, sorted({*bad, *odd}), total)
            rows = [*bad, *(row for row in odd if b"true" in picked[row] or b"false" in picked[row])]
            columns, places, broken = tolerant.split_json([picked[row] for row in rows], mapping)
            return columns, [rows[place - 1] for place in places], [rows[b.row - 1] for b in broken]

        def problem(file: int, row: int) -> Problem | None:
            return json_problem(held[file][row], mapping)

        def careful() -> list[Group]:
            return [self._careful_json(file) for file in files]

        text = Group(
            scan.json_lines(paths, mapping), dict.fromkeys(mapping, "VARCHAR"), files,
            warnings=warnings, originals=originals, fallback=careful, suspects=suspects, problem=problem,
        )  # fmt: skip
        numbers = self._plain_numbers(paths[0], mapping)
        if not numbers:
            return text
        # Numbers parsed by the engine are far cheaper than text that is cast, but what it cannot parse comes
        # as NULL, and true and false as 1 and 0. Rows with such values are few here, and looked at again.
        return Group(
            scan.json_lines(paths, mapping, dict.fromkeys(numbers, "DOUBLE")),
            {name: "DOUBLE" if name in numbers else "VARCHAR" for name in mapping}, files,
            warnings=warnings, originals=originals, fallback=lambda: [text], suspects=suspects,
            parsed=numbers, again=again, problem=problem,
        )  # fmt: skip

    def _plain_numbers(self, path: str, mapping: Mapping[str, str]) -> tuple[str, ...]:
        """Columns of numbers that are seldom NULL, 0 or 1 in the first rows of a file."""
        names = [name for name in mapping if exact_as_double(self.table.columns[name].type)]
        odd = dict.fromkeys(names, 0)
        seen = 0
        for raw in itertools.islice(tolerant.lines(path), SAMPLE):
            value, _ = tolerant.parse_object(raw) if raw.strip() else (None, None)
            if value is None:
                continue
            seen += 1
            for name in names:
                odd[name] += value.get(mapping[name]) in (None, 0, 1)
        return tuple(name for name in names if odd[name] <= max(2, seen * ODD_SHARE))

    def _careful_json(self, file: File) -> Group:
        import pyarrow as pa

        with tolerant.open_bytes(file.path) as stream:
            start = stream.read(1 << 16).removeprefix(tolerant.BOM)
        if is_array(start):
            rows: Sequence[bytes] = array_rows(file.path)
        else:
            rows = [line for line in tolerant.lines(file.path) if line.strip()]
        mapping, warnings, suspects = self._json_mapping([iter(rows)], file.name)
        columns, numbers, broken = tolerant.split_json(rows, mapping)
        arrays = {name: pa.array(cells, pa.string()) for name, cells in columns.items()}
        name = self.stack.enter_context(
            self.engine.temporary(pa.table({**arrays, "_row": pa.array(numbers, pa.int64())}))
        )
        picked = ", ".join(scan.name(column) for column in mapping)
        identity = all(name == key for name, key in mapping.items())

        def originals(_: int, wanted: Sequence[int], total: int) -> dict[int, Original]:
            return {row: json_original(rows[row - 1], mapping, identity) for row in wanted}

        return Group(
            f"SELECT {picked}, 0 AS _file, _row FROM {name}", dict.fromkeys(mapping, "VARCHAR"), [file],
            numbered=True, broken=[(0, b) for b in broken], warnings=warnings, originals=originals, suspects=suspects,
        )  # fmt: skip

    # -- names -------------------------------------------------------------------------------------

    def _match(
        self, given: Sequence[str], label: str, partial: bool = False
    ) -> tuple[dict[str, str], list[str]]:
        """Contracted column → the source's own name, by any case; what the source has too much is a warning.

        Raises ContractError for a missing required column (unless `partial`), none at all, or two alike.
        """
        mapping: dict[str, str] = {}
        extra: list[str] = []
        for source in given:
            name = source.strip().lower()
            if name not in self.table.columns:
                extra.append(source)
            elif name in mapping:
                if partial:
                    mapping[name] = name if name in given else mapping[name]
                    continue
                raise ContractError(f"{label}: column {name} comes twice; keep one of them")
            else:
                mapping[name] = source
        relation = self.table.relation
        missing = [c.name for c in self.table.columns.values() if c.required and c.name not in mapping]
        if not mapping:
            hint = did_you_mean(extra[0].lower(), list(self.table.columns)) if extra else ""
            raise ContractError(
                f"{label}: none of its columns ({', '.join(extra[:8]) or 'it has none'}) is in {relation}'s contract."
                f"{hint} Name them in a header, or map them in sources/{self.table.name}.sql"
            )
        if missing and not partial:
            raise ContractError(absent(self.table, label, missing, extra))
        warnings = [f"{Path(label).name}: ignored {', '.join(extra[:10])}, not in the contract"] if extra else []
        return mapping, warnings


def absent(table: Table, label: str, columns: Sequence[str], extra: Sequence[str] = ()) -> str:
    """What to say when required columns are absent."""
    hint = "".join(did_you_mean(column, [e.lower() for e in extra]) for column in columns[:1])
    return (
        f"{label}: {table.relation} needs {', '.join(columns)}, which the file lacks; nothing was loaded.{hint}"
        f" Add the column, or map it in sources/{table.name}.sql"
    )


def csv_originals(
    path: str, header: Sequence[str], delimiter: str, rows: Sequence[int]
) -> dict[int, Original]:
    """Records of a CSV file as they stand, with their cells as a JSON object."""
    source = tolerant.records(path, delimiter)
    next(source, None)
    picked, _ = tolerant.pick(source, rows)
    found: dict[int, Original] = {}
    for row, raw in picked.items():
        try:
            cells = [cell or None for cell in tolerant.fields(raw, delimiter)]
        except ValueError:
            found[row] = (tolerant.as_text(raw), None)
            continue
        pairs = {name.strip().lower(): cell for name, cell in zip(header, cells, strict=False)}
        found[row] = (tolerant.as_text(raw), json.dumps(pairs, ensure_ascii=False))
    return found


def json_original(raw: bytes, mapping: Mapping[str, str], identity: bool) -> Original:
    """A line of NDJSON as it stands; its cells apart where its keys are not the contract's names."""
    text = tolerant.as_text(raw)
    value = None if identity else tolerant.parse_object(raw)[0]
    if value is None:
        return text, None
    return text, json.dumps({name: value.get(key) for name, key in mapping.items()}, ensure_ascii=False)


def json_problem(raw: bytes, mapping: Mapping[str, str]) -> Problem | None:
    """What is wrong with a line that came from the engine without values; None when it has none."""
    value, problem = tolerant.parse_object(raw)
    if value is not None and any(value.get(key) is not None for key in mapping.values()):
        # Python reads more than the engine does.
        return tolerant.MALFORMED, "it is no strict JSON", "write one JSON object a line"
    return problem


def exact_as_double(type_name: str) -> bool:
    """Whether JSON numbers of a column may travel as DOUBLE (integers beyond 2^53 break a rule)."""
    kind = normal(type_name)
    decimal = re.match(r"DECIMAL\((\d+),", kind)
    return kind in INTEGERS | FLOATS or bool(decimal and int(decimal.group(1)) <= 15)


def is_array(start: bytes) -> bool:
    """Whether a JSON file is one array, by its first bytes (a line that is an array starts and ends so)."""
    text = start.lstrip()
    if not text.startswith(b"["):
        return False
    line, newline, rest = text.partition(b"\n")
    # `[1, 2]` alone on a line with an object behind it is a broken line of NDJSON.
    return not (newline and line.rstrip().endswith(b"]") and rest.lstrip().startswith((b"{", b"[")))


def array_rows(path: str) -> list[bytes]:
    """The elements of a file that is one JSON array, each as JSON. Raises ContractError when it is none."""
    with tolerant.open_bytes(path) as stream:
        raw = stream.read()
    try:
        values = json.loads(raw.removeprefix(tolerant.BOM).decode())
    except (ValueError, RecursionError) as error:
        raise ContractError(
            f"{path}: starts as a JSON array and is none ({error}); mend it, or write one object a line"
        ) from None
    return [json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass") for value in values]


def to_arrow(data: Any, label: str) -> Any:
    """An Arrow table or reader of what was given: Arrow, pandas, Polars, or anything with an Arrow stream."""
    import pyarrow as pa

    if isinstance(data, (pa.Table, pa.RecordBatchReader)):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    kind = type(data).__module__.split(".")[0]
    if kind == "pandas":
        # NaN is how pandas says "missing".
        return pa.Table.from_pandas(data, preserve_index=False)
    if hasattr(data, "collect") and kind == "polars":
        data = data.collect()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    if hasattr(data, "to_arrow"):
        return data.to_arrow()
    raise UsageError(f"{label}: cannot load a {type(data).__name__}; give a path, URL, Arrow, pandas or Polars data")
