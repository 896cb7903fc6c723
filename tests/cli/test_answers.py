"""Reading commands on a small city: shapes of the output, notices, refusals, locks."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Cli

WEEKS = ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29"]


def test_metric_json_has_the_shape_of_the_design(cli: Cli, warehouse: Path) -> None:
    run = cli("metric", "on_time_rate", "delivery.total_order_volume", "--by", "vehicle_type", "--grain", "week",
              "--format", "json", "-w", warehouse)  # fmt: skip
    assert (run.code, run.err) == (0, "")
    answer = json.loads(run.out)
    assert list(answer)[:5] == ["metrics", "by", "grain", "rows", "sql"]
    assert answer["metrics"] == ["on_time_rate", "total_order_volume"]
    assert (answer["by"], answer["grain"]) == (["vehicle_type"], "week")
    for row in answer["rows"]:
        assert list(row) == ["period", "vehicle_type", "on_time_rate", "total_order_volume"]
    assert sorted({row["period"] for row in answer["rows"]}) == WEEKS
    assert all(text.startswith(("SELECT", "WITH")) for text in answer["sql"])


def test_the_period_of_grain_all_is_null(cli: Cli, warehouse: Path) -> None:
    run = cli("metric", "total_order_volume", "--grain", "all", "--format", "json", "-w", warehouse)
    rows = json.loads(run.out)["rows"]
    assert [list(row) for row in rows] == [["period", "total_order_volume"]]
    assert rows[0]["period"] is None


def test_totals_agree_with_the_stored_rows(cli: Cli, warehouse: Path, city: Path) -> None:
    import pyarrow.parquet as pq

    orders = pq.read_table(city / "fact_orders.parquet").to_pylist()
    customers = {c["customer_id"]: c["is_internal"] for c in pq.read_table(city / "dim_customers.parquet").to_pylist()}
    counted = [o for o in orders if not customers[o["customer_id"]]]
    run = cli("metric", "total_order_volume", "--grain", "all", "--format", "json", "-w", warehouse)
    assert json.loads(run.out)["rows"][0]["total_order_volume"] == len(counted)
    day = [o for o in counted if str(o["order_timestamp"])[:10] == "2024-01-09"]
    run = cli("metric", "total_order_volume", "--grain", "all", "--since", "2024-01-09", "--until", "2024-01-10",
              "--format", "json", "-w", warehouse)  # fmt: skip
    assert json.loads(run.out)["rows"][0]["total_order_volume"] == len(day)


def test_by_may_be_repeated_or_comma_separated(cli: Cli, warehouse: Path) -> None:
    common = ("--format", "csv", "-w", warehouse)
    one = cli("metric", "total_order_volume", "--by", "vehicle_type", "--by", "delivery_type", *common)
    two = cli("metric", "total_order_volume", "--by", "vehicle_type, delivery_type", *common)
    assert one.code == 0
    assert one.out == two.out
    assert one.out.splitlines()[0] == "vehicle_type,delivery_type,total_order_volume"


def test_the_warehouse_may_stand_before_the_command(cli: Cli, warehouse: Path) -> None:
    after = cli("metric", "on_time_rate", "--format", "csv", "-w", warehouse)
    assert cli("-w", warehouse, "metric", "on_time_rate", "--format", "csv") == after
    assert cli("-w", "/nowhere.duckdb", "metric", "on_time_rate", "--format", "csv", "-w", warehouse) == after


def test_compare_prints_a_table_with_the_change(cli: Cli, warehouse: Path) -> None:
    run = cli("metric", "on_time_rate", "--grain", "week", "--compare", "previous", "-w", warehouse)
    head, *_ = run.out.splitlines()
    assert head.split() == ["period", "on_time_rate", "on_time_rate_previous", "on_time_rate_change"]
    assert all(week in run.out for week in WEEKS)


def test_sql_alone_can_be_piped_on(cli: Cli, warehouse: Path) -> None:
    from prodsense.engines.duckdb import DuckDBEngine

    run = cli("metric", "total_order_volume", "--grain", "all", "--sql", "-w", warehouse)
    assert run.out.rstrip().endswith(";")
    engine = DuckDBEngine(warehouse, read_only=True)
    counted = engine.raw(run.out.strip().rstrip(";")).fetchall()[0][0]
    engine.close()
    answer = cli("metric", "total_order_volume", "--grain", "all", "--format", "csv", "-w", warehouse)
    assert answer.out.split() == ["total_order_volume", str(counted)]


def test_a_chart_is_written_beside_the_answer(cli: Cli, warehouse: Path, tmp_path: Path) -> None:
    picture = tmp_path / "c.svg"
    run = cli("metric", "on_time_rate", "--grain", "week", "--chart", picture, "-w", warehouse)
    assert run.code == 0
    assert picture.read_text().lstrip().startswith("<svg")
    assert run.err == f"note: chart written to {picture}\n"
    assert WEEKS[0] in run.out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["metric", "on_tme_rate"], "error: no metric named on_tme_rate. Did you mean"),
        (["metric", "delivery.on_tme_rate"], "error: no metric named delivery.on_tme_rate. Did you mean delivery."),
        (["metric", "nopack.x"], "error: no pack named nopack."),
        (["metric", "on_time_rate", "--by", "vehicl_type"],
         "error: no dimension named vehicl_type in delivery. Did you mean vehicle_type?"),
        (["metric", "on_time_rate", "--where", "colour = 1"], "error: where: colour is neither a dimension"),
        (["metric", "on_time_rate", "--where", "1 = 1; DROP TABLE x"], "error: where must be one condition"),
        (["metric", "on_time_rate", "--where", "vehicle_type ="], "error: where"),
        (["metric", "on_time_rate", "--since", "2024-13-01"], "error: since should be a date like 2024-01-31"),
        (["metric", "on_time_rate", "--since", "2024-02-01", "--until", "2024-01-01"],
         "error: since 2024-02-01 is not before"),
        (["metric", "on_time_rate", "--tz", "Mars/Olympus"], "error: no time zone named 'Mars/Olympus'"),
        (["query", "algorithm_efectiveness"],
         "error: no query named algorithm_efectiveness. Did you mean algorithm_effectiveness"),
        (["query", "driver_batching_performance", "--param", "min_deliverie=1"],
         "error: driver_batching_performance has no parameter min_deliverie. Did you mean min_deliveries?"),
        (["query", "driver_batching_performance", "--param", "min_deliveries=x"],
         "error: driver_batching_performance: min_deliveries should be a"),
        (["show", "fact_order"], "error: no table, view or model named fact_order. Did you mean fact_orders"),
        (["show", "fact_orders", "--where", "nope = 1"], "error: "),
        (["answer", "Q0.0.0"], "error: no question named Q0.0.0."),
        (["dashboard", "nope", "--out", "d.html"], "error: no dashboard named nope."),
        (["policies", "nope"], "error: no policy named nope."),
        (["policies", "--param", "nope=1"], "error: no such parameter: nope."),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_one_line_and_exit_2(cli: Cli, warehouse: Path, args: list[str], message: str) -> None:
    run = cli("-w", warehouse, *args)
    assert run.err.startswith(message)
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)


def test_a_slice_that_would_count_twice_is_refused(cli: Cli, warehouse: Path) -> None:
    # A driver's hour online belongs to no restaurant.
    run = cli("metric", "deliveries_per_hour", "--by", "restaurant", "-w", warehouse)
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)
    assert run.err.startswith("error: delivery.driver_time cannot be sliced by restaurant: ")
    assert "would repeat rows" in run.err


def test_query_json_is_rows(cli: Cli, warehouse: Path) -> None:
    run = cli("query", "algorithm_effectiveness", "--format", "json", "-w", warehouse)
    answer = json.loads(run.out)
    assert isinstance(answer["rows"], list)
    assert answer["rows"][0]["algorithm_name"]


def test_a_parameter_narrows_a_query(cli: Cli, warehouse: Path) -> None:
    def rows(least: int) -> list[dict[str, object]]:
        run = cli("query", "driver_batching_performance", "--param", f"min_deliveries={least}", "--format", "json",
                  "-w", warehouse)  # fmt: skip
        return list(json.loads(run.out)["rows"])

    assert rows(1)
    assert rows(100_000) == []


def test_show_reads_tables_and_models_with_a_limit_and_a_condition(cli: Cli, warehouse: Path, city: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(city / "fact_orders.parquet").to_pylist()
    cancelled = sum(row["order_status"] == "cancelled" for row in table)
    assert cancelled > 2
    run = cli("show", "fact_orders", "--where", "order_status = 'cancelled'", "--limit", "100000", "--format", "csv",
              "-w", warehouse)  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(run.out)))
    assert len(rows) == cancelled
    assert {row["order_status"] for row in rows} == {"cancelled"}
    three = cli("show", "fact_orders", "--limit", "3", "--format", "json", "-w", warehouse)
    assert len(json.loads(three.out)["rows"]) == 3
    assert len(json.loads(cli("show", "fact_orders", "--format", "json", "-w", warehouse).out)["rows"]) == 20
    assert cli("show", "delivery_facts", "--limit", "1", "-w", warehouse).code == 0


@pytest.mark.slow
def test_answer_prints_and_writes_a_page(cli: Cli, warehouse: Path, tmp_path: Path) -> None:
    page = tmp_path / "q.html"
    run = cli("answer", "Q9.1.1", "--out", page, "-w", warehouse)
    assert run.code == 0
    assert "Does the batching algorithm succeed" in run.out
    assert run.err == f"note: page written to {page}\n"
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")


@pytest.mark.slow
def test_dashboard_writes_one_file(cli: Cli, warehouse: Path, tmp_path: Path) -> None:
    page = tmp_path / "d.html"
    run = cli("dashboard", "batching_success_scorecard", "--out", page, "-w", warehouse)
    assert (run.code, run.out) == (0, f"{page}\n")
    text = page.read_text()
    assert "src=\"http" not in text
    assert "href=\"http" not in text


def test_policies_say_what_holds(cli: Cli, warehouse: Path) -> None:
    run = cli("policies", "one_active_delivery_per_order", "delivery.one_live_batch_per_delivery", "-w", warehouse)
    assert run.code == 0
    assert [line.split(":")[0] for line in run.out.splitlines()] == [
        "✓ delivery.one_active_delivery_per_order", "✓ delivery.one_live_batch_per_delivery",
    ]
    rows = json.loads(cli("policies", "one_active_delivery_per_order", "--format", "json", "-w", warehouse).out)["rows"]
    assert [list(row) for row in rows] == [["pack", "policy", "holds", "level", "says", "violations"]]
    assert rows[0]["holds"] is True


def test_a_broken_policy_lists_its_violations_and_exits_1(cli: Cli, tmp_path: Path, warehouse: Path) -> None:
    from prodsense.engines.duckdb import DuckDBEngine

    broken = tmp_path / "broken.duckdb"
    broken.write_bytes(warehouse.read_bytes())
    engine = DuckDBEngine(broken)
    # A second delivery of an order that has one already.
    engine.execute(
        "INSERT INTO delivery.fact_deliveries BY NAME SELECT * REPLACE (-1 AS delivery_id)"
        " FROM delivery.fact_deliveries WHERE delivery_status = 'delivered' LIMIT 1"
    )
    engine.close()
    run = cli("policies", "one_active_delivery_per_order", "-w", broken)
    assert run.code == 1
    assert run.out.startswith("✗ delivery.one_active_delivery_per_order: broken (")
    assert run.err == "error: 1 of 1 policies broken: delivery.one_active_delivery_per_order\n"


def test_several_shells_read_at_once(cli: Cli, warehouse: Path) -> None:
    code = (
        "import sys\nfrom prodsense.engines.duckdb import DuckDBEngine\n"
        "e = DuckDBEngine(sys.argv[1], read_only=True)\nprint('open', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        assert cli("metric", "on_time_rate", "-w", warehouse).code == 0
        reader.communicate()


def test_a_warehouse_that_another_process_writes_is_said_to_be_locked(
    cli: Cli, warehouse: Path, no_pack_checks: None
) -> None:
    code = (
        "import sys\nfrom prodsense.engines.duckdb import DuckDBEngine\n"
        "e = DuckDBEngine(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        run = cli("metric", "on_time_rate", "-w", warehouse)
        doctor = cli("doctor", "-w", warehouse)
        owner.communicate()
    assert (run.code, run.out, run.err.count("\n")) == (1, "", 1)
    assert f"process {owner.pid}" in run.err
    assert doctor.code == 1
    assert doctor.out.splitlines()[0].startswith("✗ warehouse")


@pytest.mark.slow
def test_models_never_built_are_built_for_the_first_reader(cli: Cli, city: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.duckdb"
    assert cli("ingest", city, "--pack", "delivery", "-w", fresh).code == 0
    run = cli("metric", "on_time_rate", "--format", "csv", "-w", fresh)
    assert run.code == 0
    assert run.err.startswith("note: building ")
    assert cli("metric", "on_time_rate", "--format", "csv", "-w", fresh).err == ""


def test_an_analysis_that_is_given_all_it_works_on_needs_no_warehouse(cli: Cli) -> None:
    done = cli(
        "analyze", "calculate_delivery_times", "--format", "json",
        "--param", 'actions=[{"driver": 1, "location": "shop", "action_type": "pick_up", "order_no": 7},'
        ' {"driver": 1, "location": "door", "action_type": "drop_off", "order_no": 7}]',
        "--param", "travel_matrix=[[0, 6], [6, 0]]", "--param", 'location_mapping={"shop": 0, "door": 1}',
    )  # fmt: skip
    assert json.loads(done.out)["rows"] == [{"order_no": "7", "minutes": 6, "text": "order 7 is delivered within 6 mins"}], done.err
    lost = cli("analyze", "compare_algorithms", "--param", "instance=nowhere")
    assert (lost.code, "nowhere/orders.txt is missing" in lost.err) == (1, True)
    assert "no warehouse" in cli("analyze", "compare_algorithms").err
    assert not list(Path.cwd().iterdir())
