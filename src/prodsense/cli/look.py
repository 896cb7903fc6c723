"""Look around: catalog, schema, lineage, show."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Annotated, Any, Literal

import typer

from prodsense.cli.common import PackOption, WhereOption, Written, commands, examples, opened, option
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
        option("--kind", "KIND", "Only this kind: table, model, view, metric, slice, query, policy, dashboard, ..."),
    ] = None,
    search: Annotated[str | None, option("--search", "TEXT", "Only names and meanings with these words.")] = None,
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


#: How a schema is written.
SchemaFormat = Literal["mermaid", "json-schema", "sql"]


@app.command(
    epilog=examples("prodsense schema delivery > delivery.mmd", "prodsense schema delivery --format json-schema")
)
def schema(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="The pack.")],
    form: Annotated[
        SchemaFormat,
        option("--format", "mermaid|json-schema|sql",
               "ER diagram (default), JSON Schema of each table and event, or the DDL."),
    ] = "mermaid",
) -> None:
    """A pack's tables: an ER diagram in Mermaid, JSON Schema of a row of each, or the contract's own SQL."""
    from prodsense.contracts.exports import er_diagram, event_schema, json_schema
    from prodsense.packs import load_pack

    loaded = load_pack(pack)
    match form:
        case "mermaid":
            print(er_diagram(loaded.tables), end="")
        case "sql":
            print(loaded.schema_text, end="")
        case "json-schema":
            schemas = {
                "tables": {name: json_schema(table) for name, table in loaded.tables.items()},
                "events": {name: event_schema(event, pack) for name, event in loaded.events.items()},
            }
            print(json.dumps(schemas, indent=1, ensure_ascii=False))


#: How a lineage is written.
LineageFormat = Literal["tree", "json", "mermaid"]


@app.command(
    epilog=examples("prodsense lineage on_time_rate", "prodsense lineage delivery.fact_delivery_facts --format mermaid")
)
def lineage(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model or a metric, as pack.name or name.")],
    form: Annotated[LineageFormat, option("--format", "tree|json|mermaid", "How to write it.")] = "tree",
) -> None:
    """Where the columns of a model, or the value of a metric, come from. Needs no warehouse."""
    with opened(":memory:") as wh:
        found = wh.lineage(name)
    match form:
        case "tree":
            print(found)
        case "json":
            print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
        case "mermaid":
            print(found.mermaid())


@app.command(
    epilog=examples(
        "prodsense show fact_orders --limit 5 --where \"order_status = 'cancelled'\"",
        "prodsense show prodsense.quarantine",
    )
)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A table, view or model, as pack.name or name.")],
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="At most so many rows.")] = 20,
    where: WhereOption = None,
    output: Written,
) -> None:
    """Read rows of any table, view or model, as they are stored."""
    output.answer(lambda wh: wh.show(name, limit, where))
