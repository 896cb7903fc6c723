"""The import graph: acyclic, pointing down the layers only, light at the top, in modules of a readable size."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "prodsense"

#: Bottom up: code in a layer imports its own part and the layers before it. Parts of one layer do not
#: know each other.
LAYERS = (
    {"errors"},
    {"engines"},
    {"contracts"},
    {"ingest"},
    {"build"},
    # Charts draw any object with rows and know no other part; results draw themselves with them.
    {"charts"},
    {"metrics"},
    {"behavior", "inference", "realtime", "privacy"},
    {"packs"},
    {"doctor", "project"},
    {"warehouse"},
    {"__init__"},
    {"web"},
    {"cli"},  # `prodsense serve` starts the web
    {"__main__"},
)

#: Generators know nothing of the project; packs feed them, nothing else does.
APART = {"simulate"}

#: (part, part it may name above itself, why). Annotations only: nothing of it runs.
TYPES_UPWARD = {
    ("packs", "warehouse"): "an analysis or a policy's check is called with the warehouse it runs on",
    ("charts", "warehouse"): "a page asks the warehouse that calls it for its numbers",
    ("metrics", "warehouse"): "a policy's check is called with the warehouse it runs on",
    ("privacy", "warehouse"): "a role's view of a warehouse is mixed in before the warehouse's own class",
    ("doctor", "warehouse"): "it examines the warehouse that it is handed",
}

#: What `import prodsense` must not pay for (see also the bars for `prodsense --help`).
HEAVY = (
    "pandas", "polars", "scipy", "statsmodels", "sklearn", "altair", "vl_convert", "rich.table", "pyspark",
    "psycopg", "fastapi", "starlette", "uvicorn", "jinja2", "sqlglot", "duckdb", "pyarrow", "numpy",
)  # fmt: skip

MAX_LINES = 600


@dataclass(frozen=True)
class Import:
    source: str
    target: str
    line: int
    types_only: bool
    late: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def module_name(path: Path) -> str:
    parts = ("prodsense", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in SOURCE.rglob("*.py")}


def part(module: str) -> str:
    """The part of the project that a module belongs to: its first name below `prodsense`."""
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(name: str, path: Path) -> Iterator[Import]:
    """Imports of our own modules anywhere in a file, those inside functions included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_nodes = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    late_nodes = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            # `from package import name` may name a module or something in the package's own file.
            targets = [f"{base}.{a.name}" if f"{base}.{a.name}" in modules() else base for a in node.names]
        for target in targets:
            if target.split(".")[0] == "prodsense":
                line = node.lineno  # type: ignore[attr-defined]
                yield Import(name, target, line, id(node) in typing_nodes, id(node) in late_nodes)


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(i for name, path in modules().items() for i in imports_of(name, path))


def test_every_import_names_a_module_of_ours() -> None:
    wrong = [str(i) for i in all_imports() if i.target not in modules()]
    assert not wrong


def test_no_cycles() -> None:
    """No two modules need each other to be imported. Inside one part a function may reach back when it is called
    (a page that draws itself); between parts the layers forbid that too."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for found in all_imports():
        if not found.types_only and not found.late and found.target != found.source:
            graph[found.source].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("modules import each other: " + " <- ".join(error.args[1]))


def test_every_part_has_a_layer() -> None:
    known = APART.union(*LAYERS)
    assert {part(name) for name in modules()} <= known


def test_imports_point_down() -> None:
    rank = {name: height for height, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for found in all_imports():
        source, target = part(found.source), part(found.target)
        if source == target or source in APART or target in APART:
            continue
        if found.types_only and (source, target) in TYPES_UPWARD:
            continue
        if rank[target] >= rank[source]:
            wrong.append(str(found))
    assert not wrong


def test_packs_do_not_know_each_other() -> None:
    """A pack reads another's relations by name in SQL; its code stands alone."""

    def pack(module: str) -> str:
        parts = module.split(".")
        is_folder = len(parts) > 2 and (SOURCE / "packs" / parts[2]).is_dir()
        return parts[2] if is_folder else ""

    wrong = [
        str(i)
        for i in all_imports()
        if part(i.target) == "packs" and pack(i.target) and pack(i.target) != pack(i.source)
    ]
    assert not wrong


def test_generators_stand_apart() -> None:
    allowed = {"numpy", "pyarrow", "prodsense", *sys.stdlib_module_names}
    wrong = [str(i) for i in all_imports() if part(i.source) == "simulate" and part(i.target) != "simulate"]
    wrong += [
        str(i)
        for i in all_imports()
        if part(i.target) == "simulate" and part(i.source) not in {"simulate", "packs", "warehouse", "cli"}
    ]
    for name, path in modules().items():
        if part(name) != "simulate":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong += [f"{name} imports {n}" for n in names if n.split(".")[0] not in allowed]
    assert not wrong


def test_modules_stay_readable() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert not {name: count for name, count in lines.items() if count > MAX_LINES}


def test_importing_the_package_is_light() -> None:
    probe = "import sys, prodsense; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "prodsense.warehouse" in loaded
    assert not loaded & set(HEAVY)
