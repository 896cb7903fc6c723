"""First steps: a project of own data, simulated files, the demo and the commands that it ends with."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from prodsense.cli import demo as demo_module
from prodsense.errors import UsageError
from prodsense.packs import load_pack
from prodsense.project import find_project, read_project

from .conftest import Cli


def test_init_writes_settings_a_readme_and_a_mapping_for_each_table(cli: Cli) -> None:
    run = cli("init", "shop", "--pack", "delivery")
    assert run.code == 0
    shop = Path("shop")
    assert {path.stem for path in (shop / "sources").glob("*.sql")} == set(load_pack("delivery").tables)
    project = read_project(shop / "prodsense.toml")
    assert (project.pack, project.timezone, project.params) == ("delivery", "UTC", {})
    assert Path(project.warehouse) == shop / "prodsense.duckdb"
    assert "prodsense ingest" in (shop / "README.md").read_text()
    assert "cd shop && prodsense ingest" in run.out


def test_init_overwrites_nothing(cli: Cli) -> None:
    cli("init", "shop", "--pack", "delivery")
    Path("shop/README.md").write_text("mine")
    Path("shop/sources/fact_orders.sql").unlink()
    run = cli("init", "shop", "--pack", "delivery")
    made = re.findall(r"^made  (\S+)$", run.out, re.MULTILINE)
    assert made == ["shop/sources/fact_orders.sql"]
    assert Path("shop/README.md").read_text() == "mine"


def test_the_commented_parameters_are_real_ones(cli: Cli) -> None:
    cli("init", "shop", "--pack", "delivery")
    settings = Path("shop/prodsense.toml")
    settings.write_text(re.sub(r"^# (\w+ = )", r"\1", settings.read_text(), flags=re.MULTILINE))
    given = read_project(settings).params
    declared = {p.name: p.default for policy in load_pack("delivery").policies.values() for p in policy.params}
    assert given
    assert given == {name: declared[name] for name in given}


def test_own_data_through_a_mapping(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("init", "shop", "--pack", "delivery")
    monkeypatch.chdir("shop")
    Path("raw").mkdir()
    Path("raw/people.csv").write_text("id;joined\n1;2024-01-01\n2;2024-01-02\n")
    Path("sources/dim_customers.sql").write_text(
        "SELECT id AS customer_id, joined AS customer_since_date"
        " FROM read_csv('raw/people.csv', delim = ';', all_varchar = true)\n"
    )
    run = cli("ingest")
    assert run.code == 0
    assert run.out == "delivery.dim_customers: 2 accepted + 0 duplicate + 0 quarantined = 2 read\n"
    left = len(load_pack("delivery").tables) - 1
    assert run.err == f"note: {left} mappings left out: still as init made them\n"
    assert Path("prodsense.duckdb").exists()


def test_a_new_project_has_nothing_to_load_and_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("init", "shop", "--pack", "delivery")
    monkeypatch.chdir("shop")
    run = cli("ingest")
    assert (run.code, run.out) == (1, "")
    assert run.err.startswith("error: no mapping is filled in yet")
    assert not Path("prodsense.duckdb").exists()


def test_parameters_of_a_project_replace_the_policies_defaults(
    cli: Cli, warehouse: Path, tmp_path: Path
) -> None:
    # Nobody earns a million an hour; a floor of 0 always holds.
    common = ("policies", "guardrail_driver_earnings_floor", "-w", warehouse)
    settings = tmp_path / "prodsense.toml"
    settings.write_text("[params]\nfloor_per_hour = 1000000.0\n")
    assert cli(*common).code == 1
    assert cli(*common, "--param", "floor_per_hour=0").code == 0
    settings.write_text("[params]\nfloor_per_hour = 0.0\n")
    assert cli(*common).code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("warehose = 'x'", r"no setting named warehose\. Did you mean warehouse\?"),
        ("pack = 3", "pack should be a text, not 3"),
        ("params = 3", "params should be a table, not 3"),
        ("pack = ", r"prodsense\.toml: "),
    ],
)
def test_settings_that_are_wrong_name_the_file(cli: Cli, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prodsense.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        find_project(tmp_path)
    run = cli("policies")
    assert run.code == 2
    assert run.err.startswith(f"error: {path}: ")


def test_simulate_writes_files_that_load(cli: Cli) -> None:
    options = ("--days", "2", "--scale", "0.02", "--seed", "5", "--format", "csv")
    run = cli("simulate", "delivery", "--to", "city", *options)
    assert run.code == 0
    assert "city/fact_orders.csv: " in run.out
    assert json.loads(Path("city/_truth.json").read_text())
    first = Path("city/fact_orders.csv").read_bytes()
    cli("simulate", "delivery", "--to", "again", *options)
    assert Path("again/fact_orders.csv").read_bytes() == first
    loaded = cli("ingest", "city", "--pack", "delivery")
    assert loaded.code == 0
    counts = re.findall(r"([\d,]+) accepted \+ ([\d,]+) duplicate \+ ([\d,]+) quarantined = ([\d,]+) read", loaded.out)
    assert counts
    for accepted, duplicate, quarantined, read in counts:
        assert (duplicate, quarantined, accepted) == ("0", "0", read)


@pytest.mark.slow
def test_the_demo_tells_its_story_and_its_last_commands_work(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "SCALE", 0.05)
    run = cli("demo")
    assert (run.code, run.err) == (0, "")
    steps = [int(number) for number in re.findall(r"^(\d)\. ", run.out, re.MULTILINE)]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    folder = Path("prodsense-demo")
    headline = run.out.split("\n4. ")[1].split("\n5. ")[0].strip().splitlines()[2:]
    assert len(headline) == 6
    assert all(re.search(r"[▲▼=–]", line) for line in headline)
    assert (folder / "actual_delivery_time.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "batching_success_scorecard.html").stat().st_size > 10_000
    assert re.search(r"^   SELECT$|^   WITH ", run.out, re.MULTILINE)
    commands = run.out.rstrip().splitlines()[-4:]
    for line in commands:
        _, *args = shlex.split(line)
        if args[:2] == ["-m", "prodsense"]:
            args = args[2:]
        assert cli(*args).code == 0, line
    again = cli("demo")
    assert again.code == 0
    assert "the same files as last time: nothing to do" in again.out
    assert "no new data: nothing to do" in again.out
    same = [re.sub(r"\d+\.\d s$", "", line) for line in again.out.split("\n4. ")[1].splitlines()[:8]]
    assert same == [re.sub(r"\d+\.\d s$", "", line) for line in run.out.split("\n4. ")[1].splitlines()[:8]]
