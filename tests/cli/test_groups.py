"""Groups of options: the command line sees their fields, the command sees the group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from prodsense.cli.common import commands, option
from prodsense.cli.groups import Group, spread


@dataclass(frozen=True, kw_only=True)
class Table(Group):
    table: Annotated[str, typer.Argument(metavar="TABLE")]
    user: Annotated[str | None, option("--user", "COLUMN", "Who.")] = None


@dataclass(frozen=True, kw_only=True)
class Told(Group):
    form: Annotated[str, option("--format", "FORM", "How.")] = "table"
    warehouse: Annotated[str | None, option("--warehouse", "PATH", "Where.")] = None


@dataclass(frozen=True, kw_only=True)
class Drawn(Told):
    chart: Annotated[str | None, option("--chart", "FILE", "Picture.")] = None
    form: Annotated[str, option("--format", "FORM", "How.")] = "table"


def made(given: dict[str, Any]) -> Any:
    app = commands()

    @app.command()
    def count(source: Table, *, days: int = 7, output: Drawn) -> None:
        """Count."""
        given.update(source=source, days=days, output=output)

    return typer.main.get_group(app).commands["count"]


def test_fields_stand_in_the_place_of_their_group_own_ones_first() -> None:
    command = made({})
    assert [param.name for param in command.params] == ["table", "user", "days", "chart", "form", "warehouse"]
    assert [param.name for param in command.params if param.required] == ["table"]
    assert command.help == "Count."


def test_a_command_is_given_its_groups_filled_in() -> None:
    given: dict[str, Any] = {}
    made(given).main(["clicks", "--format", "csv", "--days", "3", "--user", "id"], standalone_mode=False)
    assert given == {
        "source": Table(table="clicks", user="id"), "days": 3,
        "output": Drawn(form="csv", chart=None, warehouse=None),
    }  # fmt: skip


def test_an_option_that_two_groups_have_is_an_error_at_once() -> None:
    def twice(*, user: str, source: Table) -> None:
        """Two ways to say who."""

    with pytest.raises(ValueError, match="duplicate parameter name: 'user'"):
        spread(twice)
