"""Funnels, who drops, comparisons, cohorts, paths and survival give on Spark what they give on DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prodsense.behavior.cohorts import cohorts, read_cohort
from prodsense.behavior.events import EventTable
from prodsense.behavior.funnel import funnel
from prodsense.behavior.funnel_steps import optional, step
from prodsense.behavior.lifecycle import lifecycle
from prodsense.behavior.paths import paths, transitions
from prodsense.behavior.retention import retention
from prodsense.behavior.survival import survival

CLICKS = """u,t,e,c
1,2024-05-01 10:00:00.25,view,de
1,2024-05-01 10:05:00,cart,de
1,2024-05-01 10:06:00,coupon,fr
1,2024-05-01 10:10:00,pay,
1,2024-05-02 10:00:00,view,
2,2024-05-01 11:00:00,pay,fr
2,2024-05-01 11:00:00,cart,fr
2,2024-05-01 11:00:00,view,fr
3,2024-05-01 12:00:00,view,fr
3,2024-05-01 12:01:00,back,fr
3,2024-05-01 13:01:00,cart,fr
,2024-05-01 13:01:00,cart,fr
"""


def asked(events: EventTable) -> dict[str, Any]:
    steps = ["view", step("cart", within="2h", without="back"), optional("coupon"), "pay"]
    options: dict[str, Any] = {"within": "1d", "as_of": "2024-05-10"}
    payers, french = read_cohort(events, "payers: event=pay"), read_cohort(events, "fr: where=c = 'fr'")
    return {
        "drops": funnel(events, ["view", "coupon"], **options).drops("c", at_least=1),
        "cohorts": cohorts(events, [payers, french]),
        "users": (payers | french).users(),
        "in a cohort": retention(
            events, by=payers, days=1, grain="all", since="2024-05-01", until="2024-05-02", compare="previous",
            as_of="2024-05-10",
        ),
        "weeks": retention(events, weeks=1, by="c", as_of="2024-06-10"),
        "months": retention(events, months=1, kind="unbounded", as_of="2024-07-10"),
        "lifecycle": lifecycle(events, compare="previous"),
        "ordered": funnel(events, steps, by="c", **options),
        "strict": funnel(events, ["view", "cart", "?coupon", "pay"], order="strict", entries="best", **options),
        "any": funnel(events, ["view", "cart", "pay"], order="any", entries="every", **options),
        "touch": funnel(events, ["view", "pay"], by="c", attribution="last", entries="every", **options),
        "paths": paths(events, start="view", merge=True, as_of="2024-05-10"),
        "transitions": transitions(events),
        "survival": survival(events, "pay", start="view", by="c", as_of="2024-05-10"),
    }


@pytest.mark.spark
def test_spark_gives_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from prodsense.behavior.events import read_file
    from prodsense.engines.spark import SparkEngine

    path = tmp_path / "clicks.csv"
    path.write_text(CLICKS)
    rows = read_file(path)
    engine = SparkEngine(tmp_path / "lake", session=request.getfixturevalue("spark_session"))
    with EventTable.read(rows, "u", "t", "e") as here, EventTable.read(rows, "u", "t", "e", engine=engine) as there:
        expected, found = asked(here), asked(there)
    engine.close()
    for name, answer in expected.items():
        assert answer.rows, name
        assert found[name].rows == answer.rows, name
        assert found[name].extras == answer.extras, name
