"""What `prodsense.engines.base.Engine` promises, asked of every engine."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

from prodsense.errors import ProdsenseError

COLUMNS = {"id": "BIGINT", "day": "DATE", "at": "TIMESTAMP", "name": "VARCHAR", "price": "DECIMAL(6,2)"}
FIRST, SECOND = date(2024, 1, 1), date(2024, 1, 2)


def rows(engine: Any, relation: str = "shop.sales", columns: str = "id, day, name") -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in engine.query(f"SELECT {columns} FROM {relation} ORDER BY id").to_pylist()]


@pytest.fixture
def sales(engine: Any) -> Any:
    """Three sales on two days."""
    engine.create_table("shop.sales", COLUMNS, partition="day")
    data = pa.table({"id": [1, 2, 3], "day": [FIRST, FIRST, SECOND], "name": ["a", None, "c"]})
    with engine.temporary(data) as name:
        assert engine.insert("shop.sales", f"SELECT * FROM {name}") == 3
    return engine


def test_a_new_table_is_empty_and_keeps_its_types(engine: Any) -> None:
    engine.create_table("shop.sales", COLUMNS, partition="day")
    assert engine.columns("shop.sales") == COLUMNS
    assert rows(engine) == []
    assert engine.columns("shop.nothing") is None
    assert engine.relations("shop") == {"shop.sales": "table"}


def test_insert_matches_columns_by_name_and_leaves_others_null(sales: Any) -> None:
    sales.insert("shop.sales", "SELECT 'd' AS name, 4 AS id")
    assert rows(sales)[-1] == (4, None, "d")
    assert rows(sales)[:3] == [(1, FIRST, "a"), (2, FIRST, None), (3, SECOND, "c")]


def test_a_column_added_to_the_contract_reads_null_or_its_default(sales: Any) -> None:
    sales.create_table("shop.sales", {**COLUMNS, "note": "VARCHAR", "hot": "BOOLEAN"}, "day", {"hot": "TRUE"})
    assert rows(sales, columns="id, note, hot") == [(1, None, True), (2, None, True), (3, None, True)]


def test_replace_partitions_leaves_the_others(sales: Any) -> None:
    count = sales.replace_partitions(
        "shop.sales", "SELECT 9 AS id, :day AS day, 'z' AS name", "day", [FIRST], {"day": FIRST}
    )
    assert count == 1
    assert rows(sales) == [(3, SECOND, "c"), (9, FIRST, "z")]


def test_replace_partitions_by_nothing_empties_them(sales: Any) -> None:
    sales.replace_partitions("shop.sales", "SELECT * FROM shop.sales WHERE id < 0", "day", [SECOND])
    assert rows(sales) == [(1, FIRST, "a"), (2, FIRST, None)]


def test_replace_may_read_the_table_itself(sales: Any) -> None:
    assert sales.replace("shop.sales", "SELECT id + 10 AS id, day, name FROM shop.sales WHERE id > 1") == 2
    assert rows(sales) == [(12, FIRST, None), (13, SECOND, "c")]


def test_overwrite_puts_arrow_rows_in_place_of_all(sales: Any) -> None:
    sales.overwrite("shop.sales", pa.table({"day": [SECOND], "id": [8]}))
    assert rows(sales) == [(8, SECOND, None)]
    assert sales.columns("shop.sales") == COLUMNS
    sales.overwrite("shop.sales", pa.table({"id": pa.array([], pa.int64())}))
    assert rows(sales) == []


def test_partition_rows_agree_with_the_table_where_the_engine_keeps_them(sales: Any) -> None:
    sales.insert("shop.sales", "SELECT 4 AS id")
    held = sales.partition_rows("shop.sales")
    assert held in (None, {"2024-01-01": 2, "2024-01-02": 1, None: 1})
    assert (held is None) == (sales.name == "duckdb")
    assert sales.partition_rows("shop.nothing") is None


def test_the_projects_own_records_are_queried_like_any_table(engine: Any) -> None:
    engine.create_table("prodsense.notes", {"seq": "BIGINT", "at": "TIMESTAMP", "text": "VARCHAR"})
    moment = datetime(2024, 1, 1, 12, 0, 0, 5)
    for seq in range(40):  # more appends than a lake leaves apart
        engine.append("prodsense.notes", pa.table({"seq": [seq], "at": [moment]}))
    counted = "WITH own AS (SELECT seq, at FROM prodsense.notes WHERE at = :at AND text IS NULL)"
    row = engine.query(f"{counted} SELECT COUNT(*) AS n, MAX(at) AS at FROM own", {"at": moment}).to_pylist()
    assert row == [{"n": 40, "at": moment}]
    with engine.temporary(pa.table({"seq": [3, 5]})) as wanted:
        joined = engine.query(f"SELECT n.seq FROM prodsense.notes AS n JOIN {wanted} AS w ON n.seq = w.seq ORDER BY 1")
    assert joined["seq"].to_pylist() == [3, 5]
    assert engine.delete("prodsense.notes", "seq >= 2") == 38
    engine.execute("DROP TABLE prodsense.notes")
    assert engine.columns("prodsense.notes") is None


def test_merge_puts_new_rows_in_place_of_old_ones_even_on_another_day(sales: Any) -> None:
    with sales.temporary(pa.table({"id": [2, 5], "day": [SECOND, SECOND], "name": ["moved", "new"]})) as new:
        sales.merge("shop.sales", f"SELECT * FROM {new}", ["id"])
    assert rows(sales) == [(1, FIRST, "a"), (2, SECOND, "moved"), (3, SECOND, "c"), (5, SECOND, "new")]


def test_delete_counts_and_spares_rows_for_which_the_condition_is_unknown(sales: Any) -> None:
    assert sales.delete("shop.sales", "name <> :keep", {"keep": "c"}) == 1
    assert rows(sales) == [(2, FIRST, None), (3, SECOND, "c")]
    assert sales.delete("shop.sales", "id > 100") == 0


def test_a_view_follows_its_table_and_other_views(sales: Any) -> None:
    sales.create_view("shop.named", "SELECT sales.id, sales.day, sales.name FROM shop.sales WHERE name IS NOT NULL")
    sales.create_view("shop.late", "WITH x AS (SELECT * FROM shop.named) SELECT * FROM x WHERE day > DATE '2024-01-01'")
    sales.insert("shop.sales", "SELECT 4 AS id, DATE '2024-01-03' AS day, 'd' AS name")
    assert rows(sales, "shop.named") == [(1, FIRST, "a"), (3, SECOND, "c"), (4, date(2024, 1, 3), "d")]
    assert [row[0] for row in rows(sales, "shop.late")] == [3, 4]
    assert sales.relations()["shop.late"] == "view"
    joined = sales.query("SELECT n.id FROM shop.named AS n JOIN shop.late AS l ON n.id = l.id ORDER BY n.id")
    assert joined["id"].to_pylist() == [3, 4]


def test_a_failed_transaction_leaves_nothing(sales: Any) -> None:
    with pytest.raises(RuntimeError), sales.transaction():
        sales.insert("shop.sales", "SELECT 4 AS id")
        with sales.transaction():
            sales.replace("shop.other", "SELECT 1 AS x")
        raise RuntimeError
    assert [row[0] for row in rows(sales)] == [1, 2, 3]
    assert "shop.other" not in sales.relations()


def test_what_was_committed_is_there_after_reopening(sales: Any, request: pytest.FixtureRequest) -> None:
    location, kind = sales.location, type(sales)
    sales.close()
    options = {} if sales.name == "duckdb" else {"session": request.getfixturevalue("spark_session")}
    again = kind(location, read_only=True, **options)
    assert [row[0] for row in rows(again)] == [1, 2, 3]
    with pytest.raises(ProdsenseError):
        again.insert("shop.sales", "SELECT 4 AS id")
    again.close()


def test_parameters_are_values_never_text(sales: Any) -> None:
    hostile = "c' OR '1'='1"
    assert sales.query("SELECT id FROM shop.sales WHERE name = :name", {"name": hostile}).num_rows == 0
    moment = datetime(2024, 7, 1, 23, 59, 59, 123456)
    assert sales.query("SELECT CAST(:moment AS TIMESTAMP) AS seen", {"moment": moment})["seen"].to_pylist() == [moment]


def test_unknown_columns_are_a_named_error(sales: Any) -> None:
    with pytest.raises(ProdsenseError, match="colour"):
        sales.query("SELECT colour FROM shop.sales")


#: macro call → value by hand. The times are chosen on the edges where engines differ.
MACROS = {
    "seconds_between(TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-01 00:00:01.5')": 1.5,
    "minutes_between(TIMESTAMP '2024-01-01 12:10:00', TIMESTAMP '2024-01-01 12:09:30')": -0.5,
    "hours_between(DATE '2024-01-01', TIMESTAMP '2024-01-02 06:00:00')": 30.0,
    "days_between(DATE '2024-02-28', DATE '2024-03-01')": 2,
    "days_between(TIMESTAMP '2024-01-01 23:59:00', TIMESTAMP '2024-01-02 00:01:00')": 1,
    "add_days(DATE '2024-02-28', 2)": date(2024, 3, 1),
    "add_minutes(TIMESTAMP '2024-01-01 00:00:00', 1.5)": datetime(2024, 1, 1, 0, 1, 30),
    "add_minutes(TIMESTAMP '2024-01-01 00:00:00', 1440)": datetime(2024, 1, 2),
    "ratio(1, 3)": 1 / 3,
    "ratio(1, 0)": None,
    "ratio(CAST(NULL AS INT), 2)": None,
    "hour_of(TIMESTAMP '2024-01-01 23:59:59')": 23,
    "iso_weekday(DATE '2024-01-07')": 7,
    "iso_weekday(TIMESTAMP '2024-01-01 10:00:00')": 1,
    "date_of(TIMESTAMP '2024-01-01 23:59:59')": date(2024, 1, 1),
    "period_start(TIMESTAMP '2024-01-07 23:00:00', 'week')": date(2024, 1, 1),
    "period_start(DATE '2024-05-31', 'quarter')": date(2024, 4, 1),
    "text_of(12)": "12",
    # Clocks in Berlin go forward at 01:00 UTC on 31 March 2024.
    "local_time(TIMESTAMP '2024-03-31 00:59:00', 'Europe/Berlin')": datetime(2024, 3, 31, 1, 59),
    "local_time(TIMESTAMP '2024-03-31 01:00:00', 'Europe/Berlin')": datetime(2024, 3, 31, 3, 0),
    "7 / 2": 3.5,
}


@pytest.mark.parametrize("text", ["17", "0007", "u1", "12345678901234567890", "-5", "1.5", "", "123456789012345678"])
def test_a_key_of_a_text(engine: Any, text: str) -> None:
    value = engine.query("SELECT key_of(:text) AS value", {"text": text})["value"].to_pylist()[0]
    is_number = text.isdigit() and len(text) <= 18
    assert value == (int(text) if is_number else int(hashlib.md5(text.encode()).hexdigest()[:13], 16))


@pytest.mark.parametrize("call", MACROS)
def test_macros_by_hand(engine: Any, call: str) -> None:
    value = engine.query(f"SELECT {call} AS value")["value"].to_pylist()[0]
    assert value == (pytest.approx(MACROS[call]) if isinstance(MACROS[call], float) else MACROS[call])


def test_aggregate_macros_by_hand(engine: Any) -> None:
    data = pa.table({"x": [1, 2, 4, None], "kept": [True, True, False, True]})
    with engine.temporary(data) as name:
        row = engine.query(
            f"SELECT mean(x) AS m, share(x > 1) AS s, quantile(x, 0.5) AS q, quantile(x, 0.25) AS q1,"
            f" share(x > 1) FILTER (WHERE kept) AS f, mean(x) FILTER (WHERE x > 9) AS nothing FROM {name}"
        ).to_pylist()[0]
    # 1, 2, 4: mean 7/3; two of three above 1; median 2; quarter point between 1 and 2 at half way.
    assert row == {"m": pytest.approx(7 / 3), "s": pytest.approx(2 / 3), "q": 2.0, "q1": 1.5, "f": 0.5, "nothing": None}


def test_what_is_most_common_and_how_uneven(engine: Any) -> None:
    data = pa.table({"x": [3, 1, 3, 1, 7, None], "h": [0.0, 1.0, 3.0, None, 0.0, 0.0], "g": ["a", "a", "a", "a", "b", "b"]})
    with engine.temporary(data) as name:
        found = engine.query(f"SELECT most_common(x) AS x, gini(h) AS h FROM {name}").to_pylist()[0]
        by = engine.query(f"SELECT g, most_common(x) AS x, gini(h) AS h FROM {name} GROUP BY g ORDER BY g").to_pylist()
    # Of 1 and 3, as frequent, the smaller. Of 0, 0, 0, 1, 3: pairs differ by 20 both ways, over 2 * 5 * 4.
    assert found == {"x": 1, "h": pytest.approx(2 * (3 * 1 + 3 * 3 + 2) / (2 * 5 * 4))}
    # Of 0, 1, 3: (1 + 3 + 2) * 2 over 2 * 3 * 4. Where nobody has anything there is no unevenness.
    assert by == [{"g": "a", "x": 1, "h": pytest.approx(0.5)}, {"g": "b", "x": 7, "h": None}]


def test_a_list_of_days(engine: Any) -> None:
    days = engine.query("SELECT CAST(day AS DATE) AS day FROM (SELECT day_list(DATE '2024-02-28', DATE '2024-03-01') AS day)")
    assert days["day"].to_pylist() == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]


def test_nulls_sort_last_both_ways(engine: Any) -> None:
    with engine.temporary(pa.table({"x": [2, None, 1]})) as name:
        up = engine.query(f"SELECT x FROM {name} ORDER BY x")["x"].to_pylist()
        down = engine.query(f"SELECT x FROM {name} ORDER BY x DESC")["x"].to_pylist()
    assert up == [1, 2, None]
    assert down == [2, 1, None]
