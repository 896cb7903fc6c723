"""The group of commands: help, start-up cost, how errors end, which warehouse is meant."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prodsense.cli.app import COMMANDS, exit_code
from prodsense.errors import LockedError, UsageError

from .conftest import Cli

#: The verbs of the design, in its order.
VERBS = [
    "demo", "init", "simulate", "ingest", "stream", "build", "restate", "forget", "catalog", "schema", "lineage", "show",
    "metric", "query", "analyze", "answer", "dashboard", "report", "serve", "sessions", "retention", "lifecycle", "funnel",
    "survival", "cohorts", "paths", "experiment", "power", "assign", "causal", "explain", "forecast", "predict", "detect",
    "findings", "policies",
    "doctor",
]


def test_help_lists_every_command_with_a_line(cli: Cli) -> None:
    run = cli("--help")
    assert run.code == 0
    assert list(COMMANDS) == VERBS
    for name, entry in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(entry.says[:20])}", run.out, re.MULTILINE), name


def test_no_arguments_is_help(cli: Cli) -> None:
    assert cli().out == cli("--help").out


@pytest.mark.parametrize("name", VERBS)
def test_help_of_every_command_has_an_example_that_names_it(cli: Cli, name: str) -> None:
    run = cli(name, "--help")
    assert run.code == 0
    assert re.search(rf"^  Examples?:\n    prodsense {name}\b", run.out, re.MULTILINE)
    assert run.out == cli(name, "-h").out


@pytest.mark.parametrize(
    "name", sorted(set(VERBS) - {"init", "simulate", "catalog", "schema", "lineage", "causal", "power", "predict"})
)
def test_commands_on_a_warehouse_take_one(cli: Cli, name: str) -> None:
    assert "-w, --warehouse PATH|URL" in cli(name, "--help").out


def test_version(cli: Cli) -> None:
    import prodsense

    assert cli("--version").out == f"prodsense {prodsense.__version__}\n"


#: Typer brings pydantic's models in when a command is invoked; nothing of ours may bring the others.
HEAVY = {"duckdb", "sqlglot", "pyarrow", "numpy", "rich", "altair", "pandas", "polars", "scipy", "jinja2"}


@pytest.mark.parametrize("args", [["--help"], ["metric", "--help"], ["metrc"], ["--version"]])
def test_answers_without_data_load_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\nfrom prodsense.cli import main\n"
        f"try:\n    main({args!r})\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stderr.splitlines()[-1].split()}
    assert not loaded & HEAVY


def test_the_catalogue_parses_no_sql() -> None:
    code = (
        "import sys\nfrom prodsense.cli import main\n"
        "try:\n    main(['catalog', '--json'])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stderr.splitlines()[-1].split()}
    assert not loaded & {"duckdb", "sqlglot", "pyarrow"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["metrc"], "error: no command named metrc. Did you mean metric?"),
        (["xyzzy"], "error: no command named xyzzy. See: prodsense --help"),
        (["metric"], "error: Missing argument 'NAME'. See: prodsense metric --help"),
        (["catalog", "--knd", "x"], "error: No such option: --knd"),
        (["restate", "m", "--since", "2024-01-01"], "error: Missing option '--until'. See: prodsense restate --help"),
        (["show", "x", "--format", "xml"], "error: Invalid value for '--format': 'xml' is not one of 'table', 'json'"),
        (["simulate", "delivery", "--to", "x", "--days", "0"], "error: Invalid value for '--days'"),
        (["simulate", "nope", "--to", "x"], "error: no pack named nope."),
        (["query", "q", "--param", "a"], "error: --param a: write it as NAME=VALUE"),
        (["query", "q", "--param", "a=1", "--param", "a=2"], "error: --param a is given twice"),
        (["ingest"], "error: name a file to load, or run this inside a project"),
        (["dashboard", "d", "--out", "d.pdf"], "error: --out d.pdf: the file should end in .html or .png"),
        (["answer", "Q", "--out", "no/q.html"], "error: --out no/q.html: there is no folder no"),
        (["metric", "m", "--chart", "c.gif"], "error: --chart c.gif: the file should end in .png"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(cli: Cli, args: list[str], message: str) -> None:
    run = cli(*args)
    assert run.code == 2
    assert run.out == ""
    assert run.err.startswith(message)
    assert run.err.count("\n") == 1
    assert not list(Path.cwd().iterdir()), "nothing was made"


def test_a_bug_is_one_line_too_and_its_traceback_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.delenv("PRODSENSE_DEBUG", raising=False)
    assert exit_code(broken) == 1
    message = "error: internal: ZeroDivisionError: a b; please report; PRODSENSE_DEBUG=1 shows the traceback\n"
    assert capsys.readouterr().err == message
    monkeypatch.setenv("PRODSENSE_DEBUG", "1")
    assert exit_code(broken) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith(message)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("no\n  such"), 2, "error: no such\n"),
        (LockedError("held"), 1, "error: held\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (PermissionError(13, "Permission denied", "w.duckdb"), 1, "error: w.duckdb: Permission denied\n"),
        (OSError(28, "No space left on device"), 1, "error: No space left on device\n"),
    ],
)
def test_exit_codes(error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise error

    assert exit_code(fail) == code
    assert capsys.readouterr().err == message


def test_a_reader_that_goes_away_is_no_error() -> None:
    shell = f"'{sys.executable}' -m prodsense catalog --json | head -c 20"
    run = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert len(run.stdout) == 20
    assert run.stderr == ""


def test_an_interrupt_exits_130(tmp_path: Path) -> None:
    code = (
        "import os, signal, prodsense.packs.catalogue as w\nfrom prodsense.cli import main\n"
        f"w.catalog = lambda *a: os.kill(os.getpid(), {int(signal.SIGINT)})\nmain(['catalog'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 130
    assert "Traceback" not in run.stderr


# -- which warehouse -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [["metric", "on_time_rate"], ["query", "x"], ["show", "x"], ["policies"], ["build"], ["answer", "Q9.1.1"],
     ["restate", "m", "--since", "2024-01-01", "--until", "2024-01-02"], ["dashboard", "d", "--out", "d.html"]],
)  # fmt: skip
def test_a_missing_warehouse_is_never_made(cli: Cli, command: list[str]) -> None:
    run = cli(*command)
    assert (run.code, run.out) == (1, "")
    assert run.err == (
        "error: no warehouse at prodsense.duckdb: make one with `prodsense demo` or `prodsense ingest`,"
        " or name another with -w\n"
    )
    assert not list(Path.cwd().iterdir())


def test_the_warehouse_is_the_options_then_the_environments_then_the_projects(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def asked(*args: str) -> str:
        found = re.search(r"no warehouse at (\S+):", cli(*args).err)
        assert found
        return found[1]

    assert asked("policies") == "prodsense.duckdb"
    (tmp_path / "prodsense.toml").write_text('warehouse = "of_project.duckdb"')
    assert asked("policies") == str(tmp_path / "of_project.duckdb")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert asked("policies") == str(tmp_path / "of_project.duckdb")
    monkeypatch.setenv("PRODSENSE_WAREHOUSE", "of_env.duckdb")
    assert asked("policies") == "of_env.duckdb"
    assert asked("-w", "before.duckdb", "policies") == "before.duckdb"
    assert asked("-w", "before.duckdb", "policies", "--warehouse", "after.duckdb") == "after.duckdb"
