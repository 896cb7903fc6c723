"""The group of all commands: a list by name, each imported only when it is invoked, and how errors end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from prodsense.errors import ProdsenseError, UsageError, did_you_mean


@dataclass(frozen=True)
class Entry:
    """A command: where it is listed, the module of this folder that holds it, its line in `--help`."""

    section: str
    module: str
    says: str


#: All commands in the order of `--help`.
COMMANDS: dict[str, Entry] = {
    "demo": Entry("Start", "start", "Simulate a product, build it, answer, write a report: the whole way in one go."),
    "init": Entry("Start", "start", "Make a project that maps your own data into a pack."),
    "simulate": Entry("Start", "start", "Write a pack's simulated tables as files."),
    "ingest": Entry("Data", "data", "Load files, URLs or a database table; every row is accounted for."),
    "stream": Entry("Data", "stream", "Take events in as they come, each exactly once, by session or buffer."),
    "build": Entry("Data", "data", "Bring the models up to date with the tables."),
    "restate": Entry("Data", "data", "Compute days of a model anew, and what stands on it."),
    "forget": Entry("Data", "data", "Delete a person's rows everywhere, and leave them out of loads to come."),
    "catalog": Entry("Look", "look", "List everything the packs declare."),
    "schema": Entry("Look", "look", "A pack's tables as ER diagram, JSON Schema or SQL."),
    "lineage": Entry("Look", "look", "Where a model's columns or a metric's value come from."),
    "show": Entry("Look", "look", "Read rows of any table, view or model."),
    "metric": Entry("Answers", "answers", "Values of metrics, by slices and period."),
    "query": Entry("Answers", "answers", "Rows of a named query."),
    "analyze": Entry("Answers", "answers", "Rows of a named analysis."),
    "answer": Entry("Answers", "pages", "A question with its numbers, tables and pictures."),
    "dashboard": Entry("Answers", "pages", "Write a dashboard as one HTML file or a picture."),
    "report": Entry("Answers", "serve", "Write or send the reports of a project."),
    "serve": Entry("Answers", "serve", "Dashboards, explorer, alerts and a JSON API in a browser."),
    "sessions": Entry("Behaviour", "behavior_activity", "Runs of events of one user without a long gap."),
    "retention": Entry("Behaviour", "behavior_activity", "Which share of the users comes back, by day of entry."),
    "lifecycle": Entry("Behaviour", "behavior_activity", "New, retained, resurrected, churned and dormant users."),
    "funnel": Entry("Behaviour", "behavior_funnel", "How many get how far through steps, and how fast."),
    "survival": Entry("Behaviour", "behavior_groups", "How long until something happens, and to whom it has not."),
    "cohorts": Entry("Behaviour", "behavior_groups", "Sets of users by what they did or are: size and overlap."),
    "paths": Entry("Behaviour", "behavior_paths", "What users do next inside sessions."),
    "experiment": Entry("Inference", "experiments", "An experiment's readout: split, effects, ship, hold or stop."),
    "power": Entry("Inference", "experiments", "Units a test needs, the effect it finds, or its power."),
    "assign": Entry("Inference", "experiments", "The arm of each unit, by salted hash."),
    "causal": Entry("Inference", "causal", "What a change did where nobody drew lots: methods with their checks."),
    "explain": Entry("Inference", "explain", "Why a number moved: its parts, its slices, since when."),
    "forecast": Entry("Inference", "predict", "What comes next of a metric or series, and the chance of a goal."),
    "predict": Entry("Inference", "predict", "Who will: churn, outcomes, hazards, lifetime value, with reasons."),
    "detect": Entry("Health", "detect", "What is off: run detectors, now or on history."),
    "findings": Entry("Health", "detect", "The queue of findings: look, acknowledge, close."),
    "policies": Entry("Health", "health", "Check the rules that must hold; list what breaks them."),
    "doctor": Entry("Health", "health", "Check the installation, the packs and the warehouse."),
}


#: Commands that write, or read no warehouse: the others may be asked in a role.
_NO_ROLE = frozenset({
    "demo", "init", "simulate", "ingest", "stream", "build", "restate", "forget", "catalog", "schema", "power",
    "assign", "serve", "report",
})  # fmt: skip


class CommandGroup(TyperGroup):
    """Commands by name out of `COMMANDS`; errors become one line and an exit code, never a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from importlib import import_module

        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"prodsense.cli.{COMMANDS[cmd_name].module}")
        command = typer.main.get_group(module.app).commands[cmd_name]
        if cmd_name not in _NO_ROLE:
            from prodsense.cli.common import add_role_options

            add_role_options(command)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, list(COMMANDS)) or " See: prodsense --help"
            raise UsageError(f"no command named {name}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            sections.setdefault(entry.section, []).append((name.ljust(max(map(len, COMMANDS))), entry.says))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run and exit: 0 done, 2 wrong usage, 130 interrupted, 1 anything else."""
        given = list(sys.argv[1:] if args is None else args) or ["--help"]
        extra |= {"prog_name": "prodsense", "standalone_mode": False}
        run = super().main
        sys.exit(exit_code(lambda: run(given, **extra)))


def exit_code(run: Callable[[], Any]) -> int:
    """The exit code of `run`, with any error told on one line of stderr."""
    try:
        returned = run()
        sys.stdout.flush()
        return returned if isinstance(returned, int) else 0
    except ProdsenseError as error:
        return _fail(error.message, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except BrokenPipeError:
        return _quiet()
    except OSError as error:
        if error.filename is None and error.strerror is None:
            return _fail(_internal(error), 1)
        return _fail(": ".join(str(part) for part in (error.filename, error.strerror) if part), 1)
    except Exception as error:
        if hasattr(error, "format_message"):  # Typer's own: an option or argument is wrong
            return _fail(_with_help(error), getattr(error, "exit_code", 2))
        return _fail(_internal(error), 1)


def _fail(message: str, code: int) -> int:
    if os.environ.get("PRODSENSE_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _internal(error: Exception) -> str:
    return (
        f"internal: {type(error).__name__}: {error}; please report; PRODSENSE_DEBUG=1 shows the traceback"
    )


def _with_help(error: Any) -> str:
    message = error.format_message().rstrip(".").replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    return f"{message}. See: {context.command_path} --help" if context is not None else message


def _quiet() -> int:
    """The reader of our output has gone (``| head``): end without a word, also at the interpreter's exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: prodsense demo",
)


def _version(asked: bool) -> None:
    if asked:
        from prodsense import __version__

        print(f"prodsense {__version__}")
        raise typer.Exit


@app.callback()
def prodsense(
    ctx: typer.Context,
    warehouse: Annotated[
        str | None,
        typer.Option("-w", "--warehouse", metavar="PATH|URL", show_default=False, help="The warehouse of the command"
                     " (default: $PRODSENSE_WAREHOUSE, then the project's, then prodsense.duckdb)."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Product analytics that a team can trust: from raw events and tables to answers.

    Names are pack.name; the pack may be left out where the name is unique.
    """
    from prodsense.cli.common import begin

    begin(warehouse)


def command() -> Any:
    """The command line as Typer runs it."""
    return typer.main.get_command(app)
