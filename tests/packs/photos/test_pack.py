"""The pack as a whole, beside what holds of every pack: what may be absent, rules that break, pages of planted data."""

from __future__ import annotations

import csv
from typing import Any

import pyarrow as pa
import pytest
from pack_kit import errors, load_rows, required_columns, tiny_folder

import prodsense.warehouse
from prodsense.charts.page import render_page
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("photos")


def test_only_keys_and_what_an_event_is_are_required() -> None:
    required = required_columns(PACK)
    assert {name: columns for name, columns in required.items() if columns} == {
        "upload_events": {"upload_id", "step", "event_type", "timestamp"}, "uploads": {"upload_id"},
        "upload_attempts": {"upload_id", "attempt_number"}, "upload_edits": {"upload_id"}, "drafts": {"draft_id"},
        "ui_interactions": {"upload_id"}, "upload_subtasks": {"subtask"}, "users": {"user_id"},
        "error_codes": {"error_code", "error_category"}, "settings": {"setting", "value"},
    }


def test_events_fit_the_table_that_takes_them() -> None:
    columns = set(PACK.tables["upload_events"].columns)
    assert len(PACK.events) == 7
    for event in PACK.events.values():
        names = [field.name for field in event.fields]
        assert set(names) <= columns, event.name


def event(upload: str, step: str, user: str = "ann") -> dict[str, Any]:
    return {"upload_id": upload, "user_id": user, "step": step, "event_type": "start", "timestamp": "2024-03-09 10:00:00"}


BROKEN = {
    "one_user_an_upload": ("upload_events", [event("u1", "source_selection", "bob")], "u1"),
    "phases_are_known": ("upload_events", [event("u99", "teleporting")], "u99"),
    "attempts_are_numbered": ("upload_attempts", [{"upload_id": "u5", "attempt_number": 3}], "u5"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_policies(own_app: Warehouse, name: str) -> None:
    table, rows, upload = BROKEN[name]
    before = {row["upload_id"] for row in own_app.policies(f"photos.{name}")[0].violations.rows}
    assert before == ({"u16"} if name == "phases_are_known" else set())  # of the tiny app: its phase mystery
    own_app.ingest(pa.Table.from_pylist(rows), table=f"photos.{table}")
    own_app.build("photos")
    assert {row["upload_id"] for row in own_app.policies(f"photos.{name}")[0].violations.rows} == before | {upload}


@pytest.mark.slow
def test_pages_without_an_error(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, _ = planted
    for page in (warehouse.dashboard("photos.upload_experience"), warehouse.answer("Q7.1.1")):
        assert errors(page) == []
        assert "<svg" in render_page(page)


@pytest.mark.slow
def test_day_by_day_equals_at_once(app: Warehouse) -> None:
    """Events come in by day, those of 2 March last: late."""
    files = {file.stem: file for file in tiny_folder("photos").glob("*.csv")}
    events = [{**row, "event_date": row["timestamp"][:10]} for row in csv.DictReader(files.pop("upload_events").open())]
    modes = set()
    with prodsense.warehouse.open(":memory:") as warehouse:
        load_rows("photos", warehouse, files)
        for days in (("2024-03-01",), ("2024-03-03", "2024-03-04"), ("2024-03-02",)):
            rows = [{k: v or None for k, v in row.items()} for row in events if row["event_date"] in days]
            warehouse.ingest(pa.Table.from_pylist(rows), table="photos.upload_events")
            modes |= {entry.mode for entry in warehouse.build("photos") if entry.model == "photos.event_log"}
        assert "incremental" in modes
        for name in (model.name for model in PACK.models.values() if model.kind == "table"):
            once, stepwise = (sorted(map(repr, w.show(f"photos.{name}", limit=None).rows)) for w in (app, warehouse))
            assert stepwise == once, name


def test_the_pipeline_builds_its_models(own_app: Warehouse) -> None:
    own_app.ingest(pa.Table.from_pylist([event("u99", "upload_initiation")]), table="photos.upload_events")
    report = own_app.run_pipeline("photos.upload_experience_monitoring")
    assert {entry.model.split(".")[1] for entry in report if entry.mode == "full"} >= {"upload_facts", "upload_experience"}
    assert sum(row["uploads"] for row in own_app.show("photos.upload_experience", limit=None).rows) == 15
