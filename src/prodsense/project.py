"""A project: a folder with `prodsense.toml` and the `sources/*.sql` that map own data into a pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import REQUIRED
from prodsense.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Param
    from prodsense.packs.pack import Pack

SETTINGS_FILE = "prodsense.toml"


@dataclass(frozen=True)
class Project:
    """The settings of `prodsense.toml`.

    `warehouse` is a path (absolute, or from the project's folder) or a URL; `params` replace the
    defaults of policies' parameters by name, and `roles` are what it makes of roles (see `privacy.roles`).
    """

    folder: Path
    pack: str = ""
    warehouse: str = ""
    timezone: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, Any] = field(default_factory=dict)
    #: ``[[report]]`` and ``[smtp]``, read by `prodsense.web.reports`.
    report: Sequence[Mapping[str, Any]] = ()
    smtp: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> Path:
        """The folder of mappings, one `<table>.sql` for each table with data."""
        return self.folder / "sources"

    def is_template(self, table: Table) -> bool:
        """Whether the mapping of `table` is there and still as `init_project` made it."""
        from prodsense.ingest import write_source_template

        path = self.sources / f"{table.name}.sql"
        return path.is_file() and path.read_text(encoding="utf-8") == write_source_template(table)


def find_project(start: Path | None = None) -> Project | None:
    """The project of `start` (the current folder) or of the nearest folder above; None where there is none."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return read_project(folder / SETTINGS_FILE)
    return None


def read_project(path: Path) -> Project:
    """Read one `prodsense.toml`; UsageError with the file's name for what it cannot hold."""
    import tomllib

    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    known: dict[str, type] = {
        "pack": str, "warehouse": str, "timezone": str, "params": dict, "roles": dict, "report": list, "smtp": dict,
    }
    for name, value in settings.items():
        if name not in known:
            hint = did_you_mean(name, set(known)) or f" Known: {', '.join(known)}."
            raise UsageError(f"{path}: no setting named {name}.{hint}")
        if not isinstance(value, known[name]):
            kind = {"dict": "a table", "list": "a list of tables ([[report]])"}.get(known[name].__name__, "a text")
            raise UsageError(f"{path}: {name} should be {kind}, not {value!r}")
    warehouse = settings.get("warehouse", "")
    if warehouse and "://" not in warehouse and warehouse != ":memory:":
        warehouse = str(path.parent / Path(warehouse).expanduser())
    return Project(
        path.parent, settings.get("pack", ""), warehouse, settings.get("timezone", ""), settings.get("params", {}),
        settings.get("roles", {}), tuple(settings.get("report", ())), settings.get("smtp", {}),
    )


# -- a new project ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """What `init_project` did: files `written`, and files `kept` because they were there."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]


def init_project(folder: Path, pack_name: str) -> Made:
    """Make a project of a pack in `folder`: settings, a mapping for each table, a README; overwrites nothing."""
    from prodsense.ingest import write_source_template
    from prodsense.packs import load_pack

    pack = load_pack(pack_name)
    params = {param.name: param for policy in pack.policies.values() for param in policy.params}
    texts = {
        SETTINGS_FILE: _settings(pack_name, params),
        "README.md": _readme(pack),
        **{f"sources/{table.name}.sql": write_source_template(table) for table in pack.tables.values()},
    }
    written, kept = [], []
    for name, text in texts.items():
        path = folder / name
        if path.exists():
            kept.append(path)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return Made(tuple(written), tuple(kept))


def _settings(pack: str, params: Mapping[str, Param]) -> str:
    """The text of a new `prodsense.toml`, every setting with its meaning."""
    lines = [
        "# Settings of this project: commands read them in this folder and below.",
        "",
        "# The pack that the data maps into.",
        f'pack = "{pack}"',
        "",
        "# The warehouse: a path from this folder, or engine://location.",
        '# -w and the environment variable PRODSENSE_WAREHOUSE go before it.',
        'warehouse = "prodsense.duckdb"',
        "",
        "# The zone of days and periods in reports, such as Europe/Berlin. Times in the warehouse stay UTC.",
        'timezone = "UTC"',
        "",
        "# Parameters of policies, in place of their defaults.",
        "[params]",
    ]
    for param in params.values():
        if param.default is REQUIRED or param.default is None:
            continue
        value = str(param.default).lower() if isinstance(param.default, bool) else repr(param.default)
        lines.append(f"# {param.name} = {value}".replace("'", '"') + (f"  # {param.says}" if param.says else ""))
    return "\n".join(lines) + "\n"


def _readme(pack: Pack) -> str:
    return f"""# {pack.title}

{pack.says}

1. `sources/` holds one mapping for each table: a SELECT over your files. Fill in those that you have data
   for, the others may stay as they are. A comment at each column says what belongs there.
2. `prodsense ingest` loads them. Each row read is accepted, a duplicate, or quarantined with its reason:
   `prodsense show prodsense.quarantine` lists those.
3. `prodsense build` brings the models up to date. Run both again whenever new data is there.
4. `prodsense catalog --kind metric` lists what you can ask, `prodsense metric NAME` asks it,
   `prodsense doctor` says what is missing.

Settings are in `{SETTINGS_FILE}`.
"""
