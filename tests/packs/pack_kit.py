"""What the tests of all packs share: load tiny CSV files, at once or in steps, compare metrics and built models."""

from __future__ import annotations

import csv
import os
import random
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from oracle_kit import Measure, periods, sliced, value, wrong

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse

PACKS = Path(__file__).parent

Rows = list[dict[str, str]]


def tiny_folder(pack: str) -> Path:
    """The hand-checkable CSV files of a pack, one a table."""
    return PACKS / pack / "tiny"


def load_tiny(warehouse: Warehouse, pack: str, folder: Path | None = None) -> None:
    """Load every CSV of a folder (by default the pack's tiny one) in the order of the contracts, and build."""
    load_rows(pack, warehouse, {path.stem: path for path in (folder or tiny_folder(pack)).glob("*.csv")})


def tiny_file(pack: str, path: Path) -> Path:
    """A new warehouse file with the tiny data in it: loading once is slow enough."""
    with prodsense.warehouse.open(path) as warehouse:
        load_tiny(warehouse, pack)
    return path


def load_rows(pack: str, warehouse: Warehouse, tables: Mapping[str, Any], *models: str) -> dict[str, str]:
    """Add rows (dicts, Arrow data, a file) and build all models, or those named; how each was built."""
    for name in load_pack(pack).tables:
        if name in tables:
            data = tables[name]
            if isinstance(data, list):
                columns = dict.fromkeys(column for row in data for column in row)
                data = pa.table({column: [row.get(column) for row in data] for column in columns})
            report = warehouse.ingest(data, table=f"{pack}.{name}")
            assert report.quarantined == 0, str(report)
    report = warehouse.build(pack, only=[f"{pack}.{name}" for name in models] or None)
    assert not [entry for entry in report if entry.mode in ("failed", "skipped")], str(report)
    return {entry.model: entry.mode for entry in report}


@contextmanager
def made_of(pack: str, tables: Mapping[str, Any], *models: str) -> Iterator[Warehouse]:
    """A warehouse in memory with these rows, built; see `load_rows`."""
    with prodsense.warehouse.open(":memory:") as warehouse:
        load_rows(pack, warehouse, tables, *models)
        yield warehouse


def check_any_order(
    pack: str, rows: Sequence[tuple[str, dict[str, Any]]], models: Sequence[str], rng: random.Random
) -> dict[str, str]:
    """Rows (table, row) loaded in three random parts must give the models of all at once; how the last part was built."""
    def load(warehouse: Warehouse, part: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, str]:
        tables: dict[str, list[dict[str, Any]]] = {}
        for table, row in part:
            tables.setdefault(table, []).append(row)
        return load_rows(pack, warehouse, tables, *models)

    def held(warehouse: Warehouse) -> dict[str, list[str]]:
        return {name: sorted(map(repr, warehouse.show(f"{pack}.{name}", limit=None).rows)) for name in models}

    with prodsense.warehouse.open(":memory:") as warehouse:
        load(warehouse, rows)
        at_once = held(warehouse)
    shuffled = rng.sample(rows, len(rows))
    low, high = sorted(rng.sample(range(1, len(rows)), 2))
    with prodsense.warehouse.open(":memory:") as warehouse:
        modes = {}
        for part in (shuffled[:low], shuffled[low:high], shuffled[high:]):
            modes = load(warehouse, part)
        assert held(warehouse) == at_once
    return modes


def simulated_file(pack: str, path: Path | str, **options: Any) -> dict[str, Any]:
    """Load what a pack simulates into a new warehouse file and build it; what was planted."""
    with prodsense.warehouse.open(path) as warehouse:
        return load_simulated(warehouse, pack, **options)


def load_simulated(
    warehouse: Warehouse, pack: str, tables: Iterable[str] = (), models: Iterable[str] = (), **options: Any
) -> dict[str, Any]:
    """Load what a pack simulates (only these tables) and build it (only these models); what was planted."""
    made = load_pack(pack).simulate(**options)
    report = warehouse.ingest({name: made.tables[name] for name in tables or made.tables}, pack=pack)
    assert report.quarantined == 0, str(report)
    report = warehouse.build(pack, only=[f"{pack}.{model}" for model in models] or None)
    assert not [entry for entry in report if entry.mode in ("failed", "skipped")], str(report)
    return dict(made.truth)


def clean_products(pack: str, seed: int, **options: Any) -> Iterator[tuple[int, Warehouse]]:
    """Products in which nothing is planted, by seed from `seed` on: eight, and with PRODSENSE_FUZZ twenty.

    See `load_simulated`.
    """
    for each in range(seed, seed + (20 if os.environ.get("PRODSENSE_FUZZ", "0") != "0" else 8)):
        with prodsense.warehouse.open(":memory:") as warehouse:
            assert load_simulated(warehouse, pack, seed=each, clean=True, **options) == {}
            yield each, warehouse


def required_columns(pack: Pack) -> dict[str, set[str]]:
    """The columns of each table that a row must have."""
    return {name: {c.name for c in table.columns.values() if not c.nullable} for name, table in pack.tables.items()}


@contextmanager
def opened_copy(built: Path, folder: Path) -> Iterator[Warehouse]:
    """A copy of a warehouse file that a test may change."""
    path = folder / built.name
    shutil.copy(built, path)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse


def tiny_warehouses(pack: str, name: str) -> tuple[Any, Any, Any]:
    """Three fixtures for a pack's conftest, to be bound to ``built_<name>``, ``<name>`` and ``own_<name>``: a file with the
    tiny data, that warehouse for reading, and a copy of it that a test may change."""

    @pytest.fixture(scope="session", name=f"built_{name}")
    def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tiny_file(pack, tmp_path_factory.mktemp(pack) / f"{name}.duckdb")

    @pytest.fixture(scope="session", name=name)
    def read(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
        with prodsense.warehouse.open(request.getfixturevalue(f"built_{name}"), read_only=True) as warehouse:
            yield warehouse

    @pytest.fixture(name=f"own_{name}")
    def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
        with opened_copy(request.getfixturevalue(f"built_{name}"), tmp_path) as warehouse:
            yield warehouse

    return built, read, own


def simulated_warehouse(pack: str, name: str, scope: str = "session", **options: Any) -> Any:
    """A fixture, to be bound to `name`: a warehouse with what a pack simulates, and what was planted in it."""

    @pytest.fixture(scope=scope, name=name)  # type: ignore[call-overload]
    def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, dict[str, Any]]]:
        path = tmp_path_factory.mktemp(name) / f"{pack}.duckdb"
        truth = simulated_file(pack, path, **options)
        with prodsense.warehouse.open(path) as warehouse:
            yield warehouse, truth

    return made


def tiny_rows(pack: str) -> dict[str, Rows]:
    """The tiny rows as text, by table, in the order of the contracts."""
    folder = tiny_folder(pack)
    return {
        table: list(csv.DictReader((folder / f"{table}.csv").open()))
        for table in load_pack(pack).tables
        if (folder / f"{table}.csv").exists()
    }


def by_days(rows: Mapping[str, Rows], moments: Mapping[str, str]) -> Iterator[dict[str, Rows]]:
    """Rows cut into loads: what has no day, then days out of order, the newest before those between.

    `moments` names the column that dates the rows of each table that comes in by day; rows without come first.
    """
    yield {t: r for t, r in rows.items() if t not in moments}
    days = sorted({row[moments[t]][:10] for t in moments for row in rows[t]} - {""})
    third = max(1, len(days) // 3)
    for some in (["", *days[:third]], days[2 * third :], days[third : 2 * third]):
        yield {t: [row for row in rows[t] if row[moments[t]][:10] in some] for t in moments}


def check_steps(pack: Pack, loads: Iterable[Mapping[str, Rows]], at_once: Warehouse, folder: Path) -> None:
    """Load and build step by step; every model must equal that of `at_once`, and none be built whole each time."""
    modes: dict[str, set[str]] = {}
    with prodsense.warehouse.open(":memory:") as warehouse:
        for step, load in enumerate(loads):
            for table in pack.tables:
                if rows := load.get(table):
                    path = folder / f"{table}.csv"
                    with path.open("w", newline="") as file:
                        writer = csv.DictWriter(file, list(rows[0]))
                        writer.writeheader()
                        writer.writerows(rows)
                    warehouse.ingest(path, table=f"{pack.name}.{table}")
            if step == 0:
                continue
            report = warehouse.build(pack.name)
            assert not [entry for entry in report if entry.mode in ("failed", "skipped")], str(report)
            for entry in report:
                modes.setdefault(entry.model.split(".")[1], set()).add(entry.mode)
        for name, model in pack.models.items():
            if model.kind == "table":
                once, stepwise = (
                    sorted(map(repr, w.show(f"{pack.name}.{name}", limit=None).rows)) for w in (at_once, warehouse)
                )
                assert stepwise == once, name
                assert "incremental" in modes[name] or not model.partition, f"{name} is built whole each time"


class MetricChecks:
    """The metrics of a pack on its tiny warehouse against the oracle's; each check gives the lines that differ.

    Metrics that share a grain or a slice are asked in one request, as a dashboard does, so that a few requests cover all.
    """

    def __init__(self, pack: str, expected: Mapping[str, Measure]):
        self.pack = load_pack(pack)
        self.expected = expected

    @cached_property
    def names(self) -> list[str]:
        return [metric.name for metric in self.pack.metrics.values() if not metric.hidden]

    @cached_property
    def slices(self) -> list[str]:
        return sorted({by for name in self.names for by in self.pack.metrics[name].by})

    def _rows(self, warehouse: Warehouse, names: Iterable[str], **asked: Any) -> list[dict[str, Any]]:
        return warehouse.metric(*(f"{self.pack.name}.{name}" for name in names), **asked).rows

    def without_value(self) -> list[str]:
        """Metrics of which the oracle knows nothing over all; an error where it does not know those of the pack."""
        assert self.expected.keys() == set(self.names)
        return [name for name in self.names if value(self.expected[name]) is None]

    def over_all(self, warehouse: Warehouse, but: Iterable[str] = (), **instead: Any) -> list[str]:
        """All metrics `but` some; `instead` are values that the oracle has in another way."""
        names = [name for name in self.names if name not in set(but)]
        (row,) = self._rows(warehouse, names, grain="all")
        wanted = {name: instead[name] if name in instead else value(self.expected[name]) for name in names}
        return [line for name in names for line in wrong(name, {"all": row[name]}, {"all": wanted[name]})]

    def by_period(self, warehouse: Warehouse, grain: str, but: Iterable[str] = ()) -> list[str]:
        names = [name for name in self.names if name not in set(but)]
        rows = self._rows(warehouse, names, grain=grain)
        found = []
        for name in names:
            wanted = periods(self.expected[name], grain)
            # A trailing window has values on days without any row; the oracle looks at days with rows.
            inside = [r for r in rows if not self.expected[name].rolling or r["period"] in wanted]
            found += wrong(name, {r["period"]: r[name] for r in inside}, wanted)
        return found

    def by_slice(self, warehouse: Warehouse, by: str, but: Iterable[str] = (), sparse: bool = False) -> list[str]:
        """The metrics that name a slice; where `sparse`, one of which nothing counts may be left out."""
        names = [name for name in self.names if by in self.pack.metrics[name].by and name not in set(but)]
        rows = self._rows(warehouse, names, by=by, grain="all") if names else []
        shown = {row[by] for row in rows}
        found = []
        for name in names:
            wanted = {k: v for k, v in sliced(self.expected[name], by).items() if v or k in shown or not sparse}
            found += wrong(name, {row[by]: row[name] for row in rows}, wanted)
        return found


def errors(page: Any) -> list[str]:
    """What went wrong on a dashboard or an answer, by section."""
    charts = [(section.title, view.title, view.error) for section in page.sections for view in section.charts]
    rules = [(section.title, view.name, view.error) for section in page.sections for view in section.policies]
    return [f"{section}: {title}: {error}" for section, title, error in (*charts, *rules) if error]
