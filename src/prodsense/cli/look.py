"""Look around: catalog, schema, lineage, show."""

from __future__ import annotations

import json
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any

import typer

from prodsense.cli.common import (
    Format,
    FormatOption,
    PackOption,
    WarehouseOption,
    commands,
    examples,
    read,
    warehouse_url,
    write_rows,
)
from prodsense.errors import UsageError

app = commands()


@app.command(
    epilog=examples(
        "prodsense catalog --pack delivery --kind metric",
        "prodsense catalog --search \"batch driver\"",
        "prodsense catalog --json",
    )
)
def catalog(
    pack: PackOption = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", show_default=False,
                     help="Only this kind: table, model, view, metric, slice, query, policy, dashboard, ..."),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="TEXT", show_default=False, help="Only names and meanings with these words."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All that is known of each entry, as a JSON list.")] = False,
) -> None:
    """List everything the packs declare, with what it means. Needs no warehouse."""
    from prodsense.packs.catalogue import catalog as entries_of

    entries = entries_of(pack, kind, search)
    if as_json:
        print(json.dumps(entries, indent=1, ensure_ascii=False, default=str))
        return
    if not entries:
        raise UsageError(f"nothing found for {search!r}; see all: prodsense catalog")
    for (owner, group), members in groupby(entries, key=lambda e: (e["pack"], e["kind"])):
        listed = list(members)
        print(f"{owner} · {group} ({len(listed)})")
        width = min(max(len(e["name"]) for e in listed), 40)
        for entry in listed:
            print(f"  {entry['name']:{width}}  {_meaning(entry)}")


def _meaning(entry: dict[str, Any]) -> str:
    """An entry's meaning in a line, with its unit or parameters."""
    says = entry["says"]
    if entry.get("unit") and entry["kind"] == "metric":
        says += f" [{entry['unit']}]"
    if entry.get("params"):
        named = ", ".join(
            p["name"] if p.get("required") else f"{p['name']}={p['default']}" for p in entry["params"]
        )
        says += f" ({named})"
    return says


class SchemaFormat(StrEnum):
    """How a schema is written."""

    mermaid = "mermaid"
    json_schema = "json-schema"
    sql = "sql"


@app.command(
    epilog=examples("prodsense schema delivery > delivery.mmd", "prodsense schema delivery --format json-schema")
)
def schema(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="The pack.")],
    form: Annotated[
        SchemaFormat,
        typer.Option("--format", metavar="mermaid|json-schema|sql", show_default=False,
                     help="ER diagram (default), JSON Schema of each table and event, or the DDL."),
    ] = SchemaFormat.mermaid,
) -> None:
    """A pack's tables: an ER diagram in Mermaid, JSON Schema of a row of each, or the contract's own SQL."""
    from prodsense.contracts.exports import er_diagram, event_schema, json_schema
    from prodsense.packs import load_pack

    loaded = load_pack(pack)
    match form:
        case SchemaFormat.mermaid:
            print(er_diagram(loaded.tables), end="")
        case SchemaFormat.sql:
            print(loaded.schema_text, end="")
        case SchemaFormat.json_schema:
            schemas = {
                "tables": {name: json_schema(table) for name, table in loaded.tables.items()},
                "events": {name: event_schema(event, pack) for name, event in loaded.events.items()},
            }
            print(json.dumps(schemas, indent=1, ensure_ascii=False))


class LineageFormat(StrEnum):
    """How a lineage is written."""

    tree = "tree"
    json = "json"
    mermaid = "mermaid"


@app.command(
    epilog=examples("prodsense lineage on_time_rate", "prodsense lineage delivery.fact_delivery_facts --format mermaid")
)
def lineage(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model or a metric, as pack.name or name.")],
    form: Annotated[
        LineageFormat,
        typer.Option("--format", metavar="tree|json|mermaid", show_default=False, help="How to write it."),
    ] = LineageFormat.tree,
) -> None:
    """Where the columns of a model, or the value of a metric, come from. Needs no warehouse."""
    from prodsense.cli.common import opened

    with opened(":memory:") as wh:
        found = wh.lineage(name)
    match form:
        case LineageFormat.tree:
            print(found)
        case LineageFormat.json:
            print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
        case LineageFormat.mermaid:
            print(found.mermaid())


@app.command(
    epilog=examples(
        "prodsense show fact_orders --limit 5 --where \"order_status = 'cancelled'\"",
        "prodsense show prodsense.quarantine",
    )
)
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A table, view or model, as pack.name or name.")],
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="At most so many rows.")] = 20,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", show_default=False, help="Only rows for which this condition holds."),
    ] = None,
    form: FormatOption = Format.table,
    warehouse: WarehouseOption = None,
) -> None:
    """Read rows of any table, view or model, as they are stored."""
    write_rows(read(warehouse_url(ctx, warehouse), lambda wh: wh.show(name, limit, where)), form)
