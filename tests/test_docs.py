"""The docs are tested: links resolve, blocks run, and what the code offers is written down.

Blocks of README, CONTRIBUTING and docs/ run in file order, in a folder that holds a small simulated city:
`raw/` (a file a table), `broken/dim_customers.csv` and, where the file is not about loading, a built
`delivery.duckdb` that is the default warehouse. The page of another pack runs on a warehouse of that pack.

* ```python is executed; blocks of a file are one session.
* ```console holds `$ command` lines, each followed by what it prints; `...` stands for anything. A command whose
  output begins with `error:` must fail, any other must not.
* ```sql must parse in the project's dialect.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from prodsense.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
    if page.parent.name != "introductions"  # parts of generated pages
)
#: Files whose blocks start from an empty warehouse.
LOADING = {"ingest.md", "README.md"}

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, body) for language, body in found if language in languages]


def tracked() -> list[Path]:
    """Files that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [path for part in listed.stdout.split("\0") if part and (path := ROOT / part).is_file()]


# --- links and words ----------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as a forge makes them."""
    plain = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+\s+(.*)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    wrong = []
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


#: Written apart, so that this file does not hold them itself.
FORBIDDEN = {
    "a registry's address": r"https?://[\w.-]*(?:pypi|pythonhosted|npmjs|debian)\.\w+",
    "a path of one machine": r"(?<![\w.])/(?:work|root|opt|home/\w+)/\w",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    wrong = []
    for path in tracked():
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path != Path(__file__).resolve() and (hit := pattern.search(content)):
            wrong.append(f"{name(path)}: {hit.group()}")
    assert not wrong


def test_no_sql_file_reads_the_clock() -> None:
    clock = re.compile(r"\b(current_(date|time|timestamp)|localtime(stamp)?|(now|today|getdate|sysdate)\s*\()", re.I)
    files = [path for path in tracked() if path.suffix == ".sql" and "src" in path.parts]
    assert files
    wrong = []
    for path in files:
        sql = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        if hit := clock.search(sql):
            wrong.append(f"{name(path)}: {hit.group()}")
    assert not wrong


# --- what the code offers is written down ---------------------------------------------------------


def test_generated_pages_are_current() -> None:
    assert not generator().outdated().keys(), "run: make docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_and_option_is_documented() -> None:
    import typer

    from prodsense.cli.app import COMMANDS, command

    page = text("docs/cli.md")
    context = typer.Context(root := command(), info_name="prodsense")  # type: ignore[arg-type]
    for verb in COMMANDS:
        section = page.partition(f"\n## prodsense {verb}\n")[2].partition("\n## ")[0]
        assert section, f"{verb} has no section in docs/cli.md"
        found = root.get_command(context, verb)  # type: ignore[attr-defined]
        inside = getattr(found, "commands", {})
        parts = {f"{verb} {word}": one for word, one in inside.items()} or {verb: found}
        for words, one in parts.items():
            own = section.partition(f"\n### prodsense {words}\n")[2].partition("\n### ")[0] if inside else section
            for param in one.params:
                for option in param.opts if param.param_type_name == "option" else ():
                    if option not in ("-h", "--help"):
                        assert option in own, f"{words} {option}"
            assert "prodsense " + words in own.partition("```sh")[2], f"{words} --help shows no example"


def test_every_macro_is_documented() -> None:
    from prodsense.engines.dialect import MACROS

    rows = set(re.findall(r"^\| `(\w+)\(", text("docs/sql.md"), re.MULTILINE))
    assert rows == set(MACROS)


def test_every_form_of_a_metric_is_documented() -> None:
    from prodsense.contracts.vocabulary import Metric

    page = text("docs/metrics.md").partition("## Forms")[2].partition("\n## ")[0]
    plain = {"name", "says", "unit", "better", "by"}
    missing = [f.name for f in fields(Metric) if f.name not in plain and f"`{f.name}`" not in page]
    assert not missing


def test_every_kind_of_source_is_documented() -> None:
    from prodsense.ingest.discover import COMPRESSED, POSTGRES, SUFFIXES

    page = text("docs/ingest.md")
    missing = [ending for ending in (*SUFFIXES, *COMPRESSED, POSTGRES[0]) if ending not in page]
    assert not missing


def test_every_directive_of_a_header_is_documented() -> None:
    source = text("src/prodsense/contracts/sql.py")
    listed = re.search(r"\^\(([a-z_|]+)\)\\s\*:", source)
    assert listed, "split_header no longer lists its directives where this test looks"
    page = text("docs/sql.md")
    missing = [word for word in listed[1].split("|") if f"`{word}: " not in page]
    assert not missing


def test_every_setting_is_documented() -> None:
    from prodsense.project import Project

    docs = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    settings = [f.name for f in fields(Project) if f.name != "folder"]
    assert not [s for s in settings if f"| `{s}` |" not in text("docs/cli.md")]
    code = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    variables = set(re.findall(r"PRODSENSE_[A-Z_]+", code + text(".ci/run") + text("tests/conftest.py")))
    assert len(variables) >= 4
    assert not sorted(v for v in variables if f"`{v}`" not in docs)


def test_every_word_is_in_the_concepts() -> None:
    from prodsense.contracts import vocabulary

    page = text("docs/concepts.md")
    words = [w for w in vars(vocabulary) if w[0].isupper() and isinstance(getattr(vocabulary, w), type)]
    shown = {"Any", "Literal", "Callable", "Mapping", "Param", "Field", "Section"}
    assert not [w for w in words if w not in shown and not re.search(rf"\*\*[\w, ]*\b{w}\b[\w, ]*\*\*", page)]


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    page = text("docs/decisions/0007-each-dependency-earns-its-place.md").lower()
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = [r for group in project["optional-dependencies"].values() for r in group]
    names = [re.split(r"[\[<>=]", r)[0] for r in [*project["dependencies"], *extras]]
    assert not [n for n in names if n not in page]


def test_decisions_are_numbered_and_short() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, page in enumerate(pages, 1):
        assert page.name.startswith(f"{number:04}-")
        body = page.read_text(encoding="utf-8")
        assert re.match(rf"# {number}\. ", body)
        parts = re.findall(r"^(?:## |\*\*)(Context|Decision|Consequences)\b", body, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences"], page.name
        assert len(body.splitlines()) <= 40, page.name


# --- blocks run -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small simulated city: its files, a broken one, and a built warehouse."""
    import prodsense as ps
    from prodsense.packs import load_pack
    from prodsense.simulate import write

    folder = tmp_path_factory.mktemp("city")
    (folder / "raw").mkdir()
    write(load_pack("delivery").simulate(days=15, scale=0.1, seed=7), folder / "raw", "csv")
    (folder / "broken").mkdir()
    (folder / "broken" / "dim_customers.csv").write_text("customer_id\n900001\nthree\n900002\n")
    with ps.open(folder / "delivery.duckdb") as warehouse:
        warehouse.ingest(folder / "raw", pack="delivery")
        assert warehouse.build("delivery").ok
    return folder


#: How packs other than delivery are simulated for their pages.
SIMULATED = {
    "photos": {"days": 28, "scale": 0.6, "seed": 7},
    "rideshare": {"days": 63, "scale": 0.3, "seed": 7},
    "stickiness": {"days": 90, "scale": 0.4, "seed": 7},
    "streaming": {"days": 42, "scale": 0.6, "seed": 7},
}


@pytest.fixture(scope="session")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Pack → a folder with a built warehouse of it."""

    @cache
    def made(pack: str) -> Path:
        import prodsense as ps
        from prodsense.packs import load_pack

        folder = tmp_path_factory.mktemp(pack)
        simulated = load_pack(pack).simulate(**SIMULATED[pack])
        with ps.open(folder / f"{pack}.duckdb") as warehouse:
            for table, rows in simulated.tables.items():
                warehouse.ingest(rows, table=f"{pack}.{table}")
            assert warehouse.build(pack).ok
        return folder

    return made


@pytest.fixture
def desk(
    city: Path, platforms: Callable[[str], Path], tmp_path: Path, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """A copy of the city to work in (on a pack's page, of that pack's platform), as the current folder."""
    page: Path = request.getfixturevalue("page")
    folder = tmp_path / "desk"
    pack = page.stem if page.parent.name == "packs" and page.stem in SIMULATED else "delivery"
    shutil.copytree(platforms(pack) if pack in SIMULATED else city, folder)
    if page.name in LOADING:
        (folder / "delivery.duckdb").unlink()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PRODSENSE_WAREHOUSE", f"{pack}.duckdb")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    yield folder


def run_python(body: str, session: dict[str, object], where: str) -> None:
    """Execute a block; what it prints is not compared (assert says what matters)."""
    exec(compile(body, where, "exec", dont_inherit=True), session)


def matches(expected: str, printed: str) -> bool:
    """Whether the output is as written: `...` stands for anything, white space for white space."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in expected.split("...")]
    return re.fullmatch(r"\s*" + r"[\s\S]*?".join(rf"\s*{part}\s*" for part in parts), printed) is not None


def run_console(body: str) -> None:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        code, printed = run_line(line)
        fails = expected.startswith("error:")
        assert (code != 0) == fails, f"$ {line}\n{printed}"
        assert not expected.strip() or matches(expected, printed), (
            f"$ {line}\nexpected:\n{expected}\ngot:\n{printed}"
        )


def run_line(line: str) -> tuple[int, str]:
    """Exit code and output of a line; a command of ours alone runs inside this process, which saves its start."""
    words = shlex.split(line)
    if words[0] == "prodsense" and not set(line) & set("|<>&;$`*"):
        printed = io.StringIO()
        with pytest.raises(SystemExit) as ended, redirect_stdout(printed), redirect_stderr(printed):
            main(words[1:])
        return int(ended.value.code or 0), printed.getvalue()
    done = subprocess.run(
        ["bash", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_output_is_compared() -> None:
    assert matches("a: ... rows\n...\nlast\n", "a: 12 rows\nb\nlast\n")
    assert matches("a  b\n...\n", "a b\n")
    assert not matches("a: ... rows\n", "a: 12 rows\nb\n")
    assert not matches("a.b\n", "axb\n")


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints() -> None:
    """When the demo prints other numbers: make docs."""
    assert generator().demo_excerpt() in text("README.md")


#: The start page and the examples of CONTRIBUTING run in `make check`, the others in `make test`.
QUICK = {"README.md", "CONTRIBUTING.md"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(p, marks=() if p.name in QUICK else pytest.mark.slow)
        for p in PAGES
        if blocks(p, "python", "console")
    ],
    ids=name,
)
def test_blocks_run(page: Path, desk: Path) -> None:
    session: dict[str, object] = {"__name__": "__docs__"}
    for number, (language, body) in enumerate(blocks(page, "python", "console"), 1):
        if language == "python":
            run_python(body, session, f"{name(page)}, block {number}")
        else:
            run_console(body)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sql")], ids=name)
def test_sql_blocks_parse(page: Path) -> None:
    from prodsense.contracts.tables import read_schema
    from prodsense.engines.dialect import parse

    for _, body in blocks(page, "sql"):
        if "CREATE TABLE" in body:
            assert read_schema(body, "docs", name(page))
        else:
            parse(body, name(page))
