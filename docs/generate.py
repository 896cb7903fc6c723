"""Write the pages that follow from the code: the command line, and one page a pack.

    python docs/generate.py            # write docs/cli.md and docs/packs/*.md
    python docs/generate.py --check    # only say which of them are out of date (exit 1)
    python docs/generate.py --demo     # write them, and what the demo prints into README.md
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
MARK = "<!-- Written by docs/generate.py (make docs); change the code instead. -->"


def pages() -> dict[str, str]:
    """Each generated page: path below `docs/` → text."""
    from prodsense.packs import load_pack, pack_names

    found = {"cli.md": cli_page()}
    for name in pack_names():
        found[f"packs/{name}.md"] = pack_page(load_pack(name))
    return found


# --- the command line ---------------------------------------------------------------------------


def cli_page() -> str:
    """Every command with its arguments, options, defaults and examples."""
    import typer

    from prodsense.cli.app import COMMANDS, command

    root: Any = command()
    lines = [
        "# Command line",
        "",
        MARK,
        "",
        (DOCS / "cli_introduction.md").read_text(encoding="utf-8").strip(),
        "",
        "| command | what it does |",
        "|---|---|",
        *(f"| [`{name}`](#prodsense-{name}) | {cell(entry.says)} |" for name, entry in COMMANDS.items()),
        "",
        "Before the command:",
        "",
        *parameters(root),
    ]
    context = typer.Context(root, info_name="prodsense")
    for name in COMMANDS:
        lines += ["", f"## prodsense {name}", "", *command_section(root.get_command(context, name), name)]
    return "\n".join(lines).rstrip() + "\n"




def command_section(command: Any, name: str) -> Iterator[str]:
    """A command; of a group, its own lines and then a section for each command in it."""
    inside = getattr(command, "commands", {})
    if inside:
        yield from ("```text", f"prodsense {name} COMMAND [OPTIONS]", "```", "", clean(command.help).strip())
        yield from examples_of(command)
        for word, one in inside.items():
            yield from ("", f"### prodsense {name} {word}", "", *command_section(one, f"{name} {word}"))
        return
    usage = ["prodsense", name, *(p.metavar or p.name.upper() for p in command.params if is_argument(p)), "[OPTIONS]"]
    yield from ("```text", " ".join(usage), "```", "")
    yield textwrap.dedent(clean(command.help)).strip()
    rows = list(parameters(command))
    if rows:
        yield ""
        yield from rows
    yield from examples_of(command)


def examples_of(command: Any) -> Iterator[str]:
    examples = [line.strip() for line in clean(command.epilog).splitlines() if line.strip().startswith("prodsense")]
    if examples:
        yield from ("", "```sh", *examples, "```")


def parameters(command: Any) -> Iterator[str]:
    shown = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    if not shown:
        return
    yield "| argument or option | meaning | default |"
    yield "|---|---|---|"
    for param in shown:
        if is_argument(param):
            name = param.metavar or param.name.upper()
        else:
            value = "" if param.is_flag else f" {param.metavar or param.type.name.upper()}"
            name = ", ".join([*param.opts, *param.secondary_opts]) + value
        default = param.default
        # Typer marks "no default" differently from version to version; only real values are told.
        plain = isinstance(default, str | int | float) and not isinstance(default, bool) and default != ""
        text = f"`{getattr(default, 'value', default)}`" if plain else "required" if param.required else ""
        yield f"| `{cell(name)}` | {cell(clean(getattr(param, 'help', '') or ''))} | {text} |"


def is_argument(param: Any) -> bool:
    return param.param_type_name == "argument"


def clean(text: str | None) -> str:
    """Help text without Click's marks for unwrapped paragraphs."""
    return (text or "").replace("\b\n", "").replace("\b", "")


def cell(text: str) -> str:
    """Text that fits a table cell."""
    return " ".join(text.split()).replace("|", "\\|")


# --- packs --------------------------------------------------------------------------------------


def pack_page(pack: Any) -> str:
    """Questions with what answers them, then every artefact with its definition."""
    lines = [f"# {pack.title}", "", MARK, "", pack.says, ""]
    introduction = DOCS / "packs" / "introductions" / f"{pack.name}.md"
    if introduction.exists():
        lines += [introduction.read_text(encoding="utf-8").strip(), ""]
    lines += [*question_sections(pack), *metric_section(pack), *dimension_section(pack)]
    lines += [*parameter_section("Queries", "query", pack.queries), *model_section(pack)]
    lines += [*parameter_section("Analyses and functions", "analyze", pack.analyses)]
    lines += [*policy_section(pack), *experiment_section(pack), *table_section(pack)]
    return "\n".join(lines).rstrip() + "\n"


def question_sections(pack: Any) -> Iterator[str]:
    if not pack.questions:
        return
    kinds: dict[str, list[str]] = {}
    for entry in pack.catalogue():
        kinds.setdefault(entry["name"], []).append(entry["kind"])
    yield "## Questions"
    for question in pack.questions.values():
        yield from ("", f"### {question.id}", "", question.ask, "")
        yield from ("```sh", f"prodsense answer {question.id}", "```", "")
        if question.headline:
            yield from ("Headline: " + ", ".join(f"`{name}`" for name in question.headline) + ".", "")
        groups: dict[str, list[str]] = {}
        for name in question.answers:
            for kind in kinds.get(name, ["other"]):
                groups.setdefault(kind, []).append(name)
        yield from ("| kind | artefacts |", "|---|---|")
        for kind, names in groups.items():
            yield f"| {kind} | {', '.join(f'`{n}`' for n in dict.fromkeys(names))} |"
        for name, note in question.notes.items():
            yield from ("", f"**{name.replace('_', ' ').capitalize()}.** {note}")
    yield ""


def metric_section(pack: Any) -> Iterator[str]:
    shown = [m for m in pack.metrics.values() if not m.hidden]
    if not shown:
        return
    yield from ("## Metrics", "")
    yield "Slices are those that a question names; every dimension that many-to-one joins reach from the metric's"
    yield from ("source can be asked for.", "")
    for metric in shown:
        yield from (f"### {metric.name}", "", metric.says, "")
        yield f"* unit: {metric.unit}; better: {metric.better}; default grain: {metric.grain}"
        yield "* definition: " + definition(metric)
        if metric.by:
            yield "* slices: " + ", ".join(f"`{d}`" for d in metric.by)
        yield ""


def definition(metric: Any) -> str:
    """The formula in one line, with what modifies it."""
    parts = [f"`{' '.join(metric.sql.split())}`"]
    if metric.source:
        parts.append(f"over `{metric.source}`")
    else:
        parts.append("of other metrics, each aggregated at its own source")
    if metric.where:
        parts.append(f"where `{' '.join(metric.where.split())}`")
    if metric.focus:
        parts.append(f"where `{metric.focus[1]}`, unless asked by `{metric.focus[0]}`")
    if metric.time:
        parts.append(f"dated by `{metric.time}`")
    if metric.rolling:
        parts.append(f"trailing {metric.rolling} days")
    if metric.per:
        parts.append(f"per {metric.per}; coarser grains are the mean of those inside")
    if metric.last:
        parts.append("value of the period's last day with data")
    if metric.matures:
        parts.append(f"rows count once {metric.matures} days have passed")
    if metric.share_of is not None:
        parts.append("as share of the total" + (f" over {', '.join(metric.share_of)}" if metric.share_of else ""))
    return ", ".join(parts)


def dimension_section(pack: Any) -> Iterator[str]:
    if not pack.dimensions:
        return
    yield from ("## Slices", "", "| slice | meaning | read from |", "|---|---|---|")
    for d in pack.dimensions.values():
        homes = ", ".join("any source with a time" if home == "*" else f"`{home}`" for home in d.at)
        yield f"| `{d.name}` | {cell(d.says)} | {homes} |"
    yield ""


def parameter_section(title: str, verb: str, artefacts: Mapping[str, Any]) -> Iterator[str]:
    if not artefacts:
        return
    from prodsense.contracts.vocabulary import REQUIRED

    def told(default: Any) -> str:
        return "required" if default is REQUIRED else "none" if default is None else str(default)

    yield from (f"## {title}", "")
    for artefact in artefacts.values():
        yield from (f"### {artefact.name}", "", artefact.says, "", "```sh")
        required = [f"--param {p.name}=..." for p in artefact.params if p.default is REQUIRED]
        yield from (" ".join([f"prodsense {verb} {artefact.name}", *required]), "```", "")
        rows = [(p.name, p.type, told(p.default), p.says) for p in artefact.params]
        source = getattr(artefact, "as_of", "")
        if source and all(name != "as_of" for name, *_ in rows):
            rows.insert(0, ("as_of", "timestamp", f"newest {source}", "The moment to look back from."))
        if rows:
            yield from ("| parameter | type | default | meaning |", "|---|---|---|---|")
            yield from (f"| `{n}` | {t} | {cell(d)} | {cell(s)} |" for n, t, d, s in rows)
            yield ""


def model_section(pack: Any) -> Iterator[str]:
    if not pack.models:
        return
    yield from ("## Models", "", "| model | what it holds | key | partition | late |", "|---|---|---|---|---|")
    for m in pack.models.values():
        kind = " (view)" if m.kind == "view" else ""
        late = f"{m.late_days} days" if m.late_days else ""
        yield f"| `{m.name}`{kind} | {cell(m.says)} | {codes(m.key)} | {codes([m.partition])} | {late} |"
    yield ""


def policy_section(pack: Any) -> Iterator[str]:
    if not pack.policies:
        return
    yield from ("## Policies", "", "| policy | what must hold | level | parameters |", "|---|---|---|---|")
    for p in pack.policies.values():
        params = ", ".join(f"`{x.name}` = {x.default}" for x in p.params)
        yield f"| `{p.name}` | {cell(p.says)} | {p.level} | {params} |"
    yield ""


def experiment_section(pack: Any) -> Iterator[str]:
    if not pack.experiments:
        return
    yield from ("## Experiments", "")
    for e in pack.experiments.values():
        yield from (f"### {e.name}", "", e.says, "")
        yield f"* unit: {e.unit}; arms: {', '.join(e.arms)}; design: {e.design}"
        yield f"* primary: {codes(e.primary)}"
        if e.guardrails:
            yield "* guardrails and their margins: " + ", ".join(f"`{n}` {m}" for n, m in e.guardrails.items())
        if e.secondary:
            yield f"* shown beside: {codes(e.secondary)}"
        if e.plan:
            yield f"* plan: {' '.join(e.plan.split())}"
        yield ""


def table_section(pack: Any) -> Iterator[str]:
    yield from ("## Tables", "", "As ER diagram, JSON Schema or SQL:", "", "```sh")
    yield from (f"prodsense schema {pack.name}", "```", "")
    for table in pack.tables.values():
        yield from (f"### {table.name}", "", table.says, "")
        facts = [f"key: {codes(table.key)}" if table.key else "no key"]
        facts += [f"partition: `{table.partition}`"] if table.partition else []
        facts += [f"{codes(r.columns)} refers to `{r.table.split('.')[-1]}`" for r in table.references]
        facts += [f"must hold: `{check.sql}`" for check in table.checks]
        yield from (f"* {fact}" for fact in facts)
        yield from ("", "| column | type | unit | meaning |", "|---|---|---|---|")
        for column in table.columns.values():
            need = " (required)" if column.required else f", default {column.default}" if column.default else ""
            yield f"| `{column.name}` | {column.type}{need} | {column.unit} | {cell(column.says)} |"
        yield ""


def codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names if name)


# --- the demo in the README ---------------------------------------------------------------------

README = DOCS.parent / "README.md"
EXCERPT = re.compile(r"(?<=```text\n)2\. Ingesting.*?(?=```)", re.DOTALL)


def demo_excerpt() -> str:
    """Run the demo; what it prints of loading, building, the headline metrics and the page, without times."""
    program = Path(sys.executable).parent / "prodsense"
    env = {k: v for k, v in os.environ.items() if not k.startswith("PRODSENSE_")} | {"COLUMNS": "100", "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([program, "demo"], cwd=folder, env=env, capture_output=True, text=True, check=True)
    printed = re.sub(r"\.\.\. [\d.]+ s$", "... s", run.stdout, flags=re.MULTILINE)
    printed = re.sub(r"file:\S*", "file:...", printed)
    steps = {step[0]: step.strip("\n") for step in re.split(r"^(?=\d\. )", printed, flags=re.MULTILINE)}
    return "\n\n".join(["\n".join([steps["2"], steps["3"]]), steps["4"], "...", steps["7"]]) + "\n"


# --- writing ------------------------------------------------------------------------------------


def outdated() -> dict[str, str]:
    """The pages that are missing or differ from what the code says."""
    return {
        name: text
        for name, text in pages().items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != text
    }


def main() -> int:
    stale = outdated()
    if sys.argv[1:] == ["--check"]:
        for name in stale:
            print(f"docs/{name} is out of date; run: make docs", file=sys.stderr)
        return 1 if stale else 0
    for name, text in stale.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")
        print(f"wrote docs/{name}")
    if sys.argv[1:] == ["--demo"]:
        excerpt = demo_excerpt()
        README.write_text(EXCERPT.sub(lambda _: excerpt, README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
