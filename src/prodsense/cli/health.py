"""Is all well: policies, doctor."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from prodsense.cli.common import (
    PackOption,
    ParamOption,
    Place,
    Written,
    commands,
    examples,
    opened,
    option,
    warehouse_file,
)
from prodsense.contracts.options import read_params, split_names
from prodsense.errors import ProdsenseError
from prodsense.project import find_project

if TYPE_CHECKING:
    from prodsense.doctor import Finding
    from prodsense.metrics.checks import PolicyResult
    from prodsense.warehouse import Warehouse

app = commands()

#: How findings are written.
DoctorFormat = Literal["table", "json"]

#: Violations of one policy that a table shows; JSON and CSV have all.
_SHOWN = 5


@app.command(
    epilog=examples("prodsense policies", "prodsense policies --pack delivery --format json")
)
def policies(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", show_default=False, help="Policies (default: all).")
    ] = None,
    *,
    pack: PackOption = None,
    params: ParamOption = None,
    output: Written,
) -> None:
    """Check the rules that must hold, and list what breaks them.

    Exit code 1 when a policy of level error is broken.
    """
    given: dict[str, Any] = read_params(params)

    def check(wh: Warehouse) -> list[PolicyResult]:
        return wh.policies(*split_names(names), pack=pack, **(_project_params(wh, names, pack) | given))

    results = output.read(check)
    match output.form:
        case "json":
            answer = {"rows": [result.to_dict() for result in results]}
            print(json.dumps(answer, indent=1, ensure_ascii=False, default=str))
        case "csv":
            _write_csv(results)
        case "table":
            for result in results:
                _print_policy(result)
    broken = [f"{result.pack}.{result.name}" for result in results if not result.holds and result.level == "error"]
    if broken:
        raise ProdsenseError(f"{len(broken)} of {len(results)} policies broken: {', '.join(broken)}")


def _project_params(wh: Warehouse, names: list[str] | None, pack: str | None) -> dict[str, Any]:
    """The project's `[params]`, as far as the policies asked for have parameters of those names."""
    project = find_project()
    if project is None or not project.params:
        return {}
    if names:
        asked = [wh.find("policies", name)[1] for name in split_names(names)]
    else:
        asked = [policy for owner in ([pack] if pack else wh.packs) for policy in wh.pack(owner).policies.values()]
    known = {param.name for policy in asked for param in policy.params}
    return {name: value for name, value in project.params.items() if name in known}


def _print_policy(result: PolicyResult) -> None:
    sign = "✓" if result.holds else "✗" if result.level == "error" else "!"
    rows = result.violations.rows
    count = "" if result.holds else f" ({len(rows):,} violation{'s' * (len(rows) != 1)})"
    print(f"{sign} {result.pack}.{result.name}: {result.state}{count}. {result.says}")
    for row in rows[:_SHOWN]:
        print("    " + ", ".join(f"{name} {value}" for name, value in row.items() if value is not None))
    if len(rows) > _SHOWN:
        print(f"    and {len(rows) - _SHOWN:,} more: prodsense policies {result.pack}.{result.name} --format json")


def _write_csv(results: list[PolicyResult]) -> None:
    """One line a policy; the violations are in the JSON."""
    import csv

    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["pack", "policy", "level", "holds", "violations", "says"])
    for result in results:
        found = len(result.violations.rows)
        out.writerow([result.pack, result.name, result.level, str(result.holds).lower(), found, result.says])


@app.command(epilog=examples("prodsense doctor", "prodsense doctor --format json"))
def doctor(
    form: Annotated[DoctorFormat, option("--format", "table|json", "How to write it.")] = "table",
    *,
    place: Place,
) -> None:
    """Check the installation, the packs' definitions and the warehouse's state.

    Exit code 1 when something is wrong; warnings alone do not count.
    """
    findings = _examine(place.url)
    if form == "json":
        print(json.dumps({"rows": [finding.to_dict() for finding in findings]}, indent=1, ensure_ascii=False))
    else:
        for finding in findings:
            print(finding)
    wrong = sum(finding.level == "error" for finding in findings)
    if wrong:
        raise ProdsenseError(f"{wrong} check{'s' * (wrong > 1)} failed; see the lines marked ✗")


def _examine(url: str) -> list[Finding]:
    """All findings, also when the warehouse is absent or cannot be opened."""
    import os

    from prodsense.doctor import Finding, examine_installation, examine_packs, examine_warehouse, worst_first

    path = warehouse_file(url)
    try:
        if path is None or path.exists():
            with opened(url, read_only=path is not None) as warehouse:
                state = list(examine_warehouse(warehouse))
        else:
            do = "make one: prodsense demo, or prodsense init"
            state = [Finding("warning", f"warehouse {path}", "not there yet", do)]
    except ProdsenseError as error:
        state = [Finding("error", f"warehouse {url}", error.message)]
    return worst_first([*examine_installation(), *examine_packs(os.cpu_count() or 1), *state])
