"""From what a user names (paths, globs, folders, frames, URLs) to contracted tables and their inputs."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import ContractError, UsageError, did_you_mean

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table

#: File suffix → format; ``.gz`` and ``.zst`` may follow the text formats.
SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".ndjson": "json", ".jsonl": "json",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
COMPRESSED = (".gz", ".zst")
POSTGRES = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class File:
    """One file: its path (relative where the user's was), its format, and the name it was sent under, if it was."""

    path: str
    format: str
    sent_as: str = ""

    @property
    def name(self) -> str:
        """What it is called in reports and records."""
        return self.sent_as or self.path

    @property
    def bytes(self) -> int:
        return Path(self.path).stat().st_size


@dataclass(frozen=True)
class Sent:
    """A source: a file that was sent under a name and lies under `path` only for as long as it is loaded."""

    path: str
    name: str


@dataclass
class Input:
    """What one table is loaded from in one call: files in order, or one data object or URL."""

    table: Table
    source: str
    files: list[File]
    data: Any = None


def discover(tables: Mapping[str, Table], source: Any, table: str | None = None) -> list[Input]:
    """Resolve `source` to inputs, parents before children.

    `tables` are the known contracts by relation. `source` is a path, glob, folder, ``postgresql://`` URL,
    frame or Arrow data, an iterable of such, or a mapping of table name to such. Raises UsageError when
    nothing is found or a file's table cannot be told from its name.
    """
    found: dict[str, Input] = {}
    for name, one in _pairs(source, table):
        for item in _resolve(tables, one, name):
            known = found.get(item.table.relation)
            if known is None:
                found[item.table.relation] = item
            elif known.files and item.files:
                known.files.extend(f for f in item.files if f not in known.files)
                known.source += f", {item.source}"
            else:
                raise UsageError(f"{item.table.relation} is given twice; load its sources one after the other")
    return [found[relation] for relation in order(tables, found)]


def _pairs(source: Any, table: str | None) -> Iterable[tuple[str | None, Any]]:
    if isinstance(source, Mapping):
        for name, one in source.items():
            for _, inner in _pairs(one, None):
                yield str(name), inner
    elif isinstance(source, (list, tuple, set)):
        for one in source:
            yield table, one
    else:
        yield table, source


def _resolve(tables: Mapping[str, Table], source: Any, table: str | None) -> list[Input]:
    if isinstance(source, Sent):
        found = _resolve(tables, source.path, table)
        return [Input(i.table, source.name, [replace(f, sent_as=source.name) for f in i.files]) for i in found]
    if not isinstance(source, (str, Path)):
        if table is None:
            raise UsageError(f"a {type(source).__name__} has no name to go by: say table=")
        return [Input(find_table(tables, table), type(source).__name__, [], source)]
    text = str(source)
    if text.startswith(POSTGRES):
        from prodsense.ingest.postgres import table_of

        return [Input(find_table(tables, table or table_of(text)), without_password(text), [], text)]
    paths = _paths(text)
    groups: dict[str, Input] = {}
    for path in paths:
        contract = find_table(tables, table) if table else table_for(tables, path)
        item = groups.setdefault(contract.relation, Input(contract, text, []))
        item.files.append(File(str(path), format_of(path)))
    return list(groups.values())


def _paths(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_dir():
        paths = [p for p in sorted(path.rglob("*")) if p.is_file() and _format(p) and not p.name.startswith((".", "_"))]
        if not paths:
            raise UsageError(f"{text} holds no CSV, NDJSON or Parquet files")
        return paths
    if path.is_file():
        return [path]
    if re.search(r"[*?\[]", text):
        paths = [p for p in map(Path, sorted(glob.glob(str(path), recursive=True))) if p.is_file()]  # noqa: PTH207
        if paths:
            return paths
        raise UsageError(f"no file matches {text}")
    near = did_you_mean(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
    raise UsageError(f"{text}: no such file or folder.{near}")


def _format(path: Path) -> str | None:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes = suffixes[:-1]
        return SUFFIXES.get(suffixes[-1]) if suffixes and SUFFIXES.get(suffixes[-1]) != "parquet" else None
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def format_of(path: Path) -> str:
    """The format of a file by its name; UsageError when it is none that can be read."""
    found = _format(path)
    if found is None:
        kinds = ", ".join(sorted(SUFFIXES))
        raise UsageError(f"{path}: cannot tell its format by its name; expected {kinds} (text may end in .gz or .zst)")
    return found


def find_table(tables: Mapping[str, Table], name: str) -> Table:
    """The contract called `name`, with or without its pack."""
    wanted = name.lower()
    if wanted in tables:
        return tables[wanted]
    found = [t for t in tables.values() if t.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"table {name} is in several packs; say which: {', '.join(t.relation for t in found)}")
    known = [t.name for t in tables.values()] if "." not in name else list(tables)
    raise UsageError(f"no table named {name}.{did_you_mean(wanted, known)}")


def table_for(tables: Mapping[str, Table], path: Path) -> Table:
    """The table that a file is for: by its stem, by the longest table name that starts it, or by its folder."""
    stem = path.name.lower()
    while (suffix := Path(stem).suffix) in SUFFIXES or suffix in COMPRESSED:
        stem = stem[: -len(suffix)]
    for text in (stem, *(part.lower() for part in reversed(path.parent.parts[-3:]))):
        names = {t.name for t in tables.values() if re.match(rf"{re.escape(t.name)}(?![a-z0-9])_?", text)}
        names |= {t.name for t in tables.values() if re.match(rf"{re.escape(t.name)}_\d", text)}
        if names:
            return find_table(tables, max(names, key=len))
        if text in tables:
            return tables[text]
    hint = did_you_mean(stem, [t.name for t in tables.values()])
    raise UsageError(f"{path.name}: cannot tell its table by its name or folder; say --table.{hint}")


def order(tables: Mapping[str, Table], wanted: Iterable[str]) -> list[str]:
    """`wanted` relations with parents before the tables that reference them; else in the order given."""
    wanted = list(wanted)
    done: list[str] = []
    visiting: set[str] = set()

    def visit(relation: str) -> None:
        if relation in done or relation in visiting or relation not in tables:
            return
        visiting.add(relation)
        for reference in tables[relation].references:
            visit(reference.table)
        visiting.discard(relation)
        done.append(relation)

    for relation in wanted:
        visit(relation)
    return [relation for relation in done if relation in wanted]


def parents_first(tables: Mapping[str, Table], sources: Sequence[Any], table: str | None = None) -> list[Any]:
    """`sources` in the order in which their tables can be loaded one after the other."""
    relations = {index: [i.table.relation for i in discover(tables, one, table)] for index, one in enumerate(sources)}
    ordered = order(tables, dict.fromkeys(r for found in relations.values() for r in found))
    ranked = sorted(relations, key=lambda index: max(map(ordered.index, relations[index]), default=0))
    return [sources[index] for index in ranked]


def sha256(path: str) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_password(url: str) -> str:
    """A URL fit for records."""
    return re.sub(r"(://[^:/@]+):[^@]*@", r"\1@", url)


def readable(file: File) -> None:
    """Raise ContractError when a file cannot be opened at all."""
    try:
        with Path(file.path).open("rb") as stream:
            stream.read(1)
    except OSError as error:
        raise ContractError(f"{file.name} cannot be read: {error.strerror}") from None
