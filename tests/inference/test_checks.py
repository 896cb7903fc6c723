"""The doctor's checks of trees and detectors."""

from __future__ import annotations

import inference_shop as data
import pytest

from prodsense.contracts.vocabulary import Detector, MetricTree
from prodsense.errors import ProdsenseError
from prodsense.inference import detectors as ready
from prodsense.inference.checks import check_detector, check_tree
from prodsense.metrics import Scope

SCOPE = Scope.of(data.pack())


def test_sound_declarations_pass() -> None:
    check_tree(MetricTree("t", "T.", "revenue", "orders * completion * basket"), SCOPE)
    check_detector(ready.metric_anomaly("a", "A.", metric="orders", by=("city",)), SCOPE)
    check_detector(ready.own_history_drop("b", "B.", table="orders", subject="customer_id"), SCOPE)
    check_detector(ready.freshness("c", "C.", tables="orders"), SCOPE)
    check_detector(Detector("d", "D.", "SELECT city AS subject FROM orders ORDER BY city"), SCOPE)


@pytest.mark.parametrize(
    ("detector", "says"),
    [
        (ready.metric_anomaly("a", "A.", metric="order"), "no metric named order"),
        (ready.share_drift("a", "A.", metric="orders", by="town"), "no dimension named town"),
        (ready.volume("a", "A.", table="order"), "no table or model"),
        (ready.volume("a", "A.", table="orders", by="town"), "no column town"),
        (ready.own_history_drop("a", "A.", table="orders", subject="user"), "no column user"),
        (Detector("a", "A.", "SELECT town FROM orders"), "town"),
    ],
)
def test_what_is_not_there_is_named(detector: Detector, says: str) -> None:
    with pytest.raises(ProdsenseError, match=says):
        check_detector(detector, SCOPE)


@pytest.mark.parametrize("sql", ["orders * price", "revenue", "1 + 2", "greatest(orders, basket)"])
def test_a_tree_is_a_formula_of_other_metrics(sql: str) -> None:
    with pytest.raises(ProdsenseError):
        check_tree(MetricTree("t", "T.", "revenue", sql), SCOPE)
