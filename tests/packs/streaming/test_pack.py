"""The pack as a whole: its declarations resolve, its SQL is portable, its columns are documented and optional."""

from __future__ import annotations

import pytest

from prodsense.contracts.sql import parse_select, qualify_tables
from prodsense.engines.dialect import DIALECTS, render
from prodsense.metrics import Scope, check_scope
from prodsense.metrics.scope import inferred_columns
from prodsense.packs import load_pack

PACK = load_pack("streaming")
TEXTS = {
    f"{kind}/{artefact.name}": artefact.sql
    for kind in ("models", "queries", "policies")
    for artefact in getattr(PACK, kind).values()
    if artefact.sql
}


def test_definitions_are_sound() -> None:
    assert not list(check_scope(Scope.of(PACK)))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_sql_is_portable(dialect: str) -> None:
    for name, text in TEXTS.items():
        assert render(qualify_tables(parse_select(text, name), "streaming"), dialect), name


def test_every_column_is_documented() -> None:
    scope = Scope.of(PACK)
    for table in PACK.tables.values():
        assert table.says, table.name
        assert [c.name for c in table.columns.values() if not c.says] == [], table.name
    for model in PACK.models.values():
        assert model.says, model.name
        assert list(model.columns) == list(inferred_columns(scope, model)), model.name


def test_columns_that_a_team_may_lack_are_nullable() -> None:
    required = {name: {c.name for c in table.columns.values() if not c.nullable} for name, table in PACK.tables.items()}
    assert required["fact_viewing_sessions"] == {"session_id"}
    assert required["playback_events"] == {"timestamp", "event_type"}
    assert required["dim_users"] == {"user_key"}
    assert required["dim_content"] == {"content_key"}
    assert required["subscriptions"] == set()
    assert required["survey_responses"] == set()


def test_the_fact_has_the_columns_of_its_design() -> None:
    wanted = ["session_id", "user_key", "content_key", "device_key", "date_key", "time_key", "session_start_timestamp", "session_end_timestamp", "session_duration_seconds", "completion_status_key", "playback_position_seconds", "total_content_length_seconds", "total_pause_duration_seconds", "number_of_pauses", "number_of_rewinds", "number_of_forwards", "max_playback_quality", "completion_percentage", "watched_credits", "autoplay_enabled", "session_metadata"]
    assert set(wanted) <= set(PACK.tables["fact_viewing_sessions"].columns)
    assert set(wanted) <= set(PACK.models["viewing_sessions"].columns)
    assert PACK.completing("fact_viewing_sessions") == "viewing_sessions"
