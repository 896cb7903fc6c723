"""Controlled tests of Carpool. In the log an arm called control is the control, any other name the treatment."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Experiment

EXPERIMENTS = (
    Experiment(
        "carpool_price_test",
        "A lower Carpool price against the usual one: do riders share more of their journeys?",
        unit="rider",
        arms=("control", "treatment"),
        primary=("carpool_share_of_journeys",),
        secondary=("pickup_wait_time", "average_detour_time_per_rider"),
        guardrails={"carpool_rider_csat": 0.3},
        plan="Riders are split once and keep their arm; journeys count from the assignment on, and those of the four"
        " weeks before explain variance away. The split is checked before any effect. Fuller cars mean longer ways for"
        " all, also for riders of the other arm: satisfaction on Carpool may not be lower by 0.3 or more, and waits"
        " and detours are shown.",
        key="rider_user_key",
        sql="SELECT a.user_key AS unit, CASE WHEN LOWER(a.variant) = 'control' THEN 'control' ELSE 'treatment' END"
        " AS arm, a.assigned_at, u.price_sensitivity FROM experiment_assignments AS a LEFT JOIN riders AS u ON"
        " u.rider_user_key = a.user_key WHERE NOT COALESCE(u.is_internal, FALSE) AND COALESCE(a.experiment,"
        " 'carpool_price_test') = 'carpool_price_test'",
        segments=("price_sensitivity",),
        before_days=28,
    ),
)
