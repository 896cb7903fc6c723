"""The simulated platform is possible, and what is planted in it is there: by pandas on the rows, not by the pack."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.packs.stickiness.simulate import simulate
from prodsense.simulate import Simulation

PACK = load_pack("stickiness")
START, DAYS = pd.Timestamp(2024, 1, 1), 90
Frames = Mapping[str, pd.DataFrame]


def frames(made: Simulation) -> Frames:
    """The tables; of events what the tests read, with `at` (the client's time, put right) and `day`."""
    found = {name: table.to_pandas() for name, table in made.tables.items() if name != "user_events"}
    found["users"]["signup_date"] = pd.to_datetime(found["users"]["signup_date"])
    # Texts as codes: half a million strings are slow to group.
    texts = ["user_id", "session_id", "event_type", "content_type", "feature_name", "platform", "device"]
    table = made.tables["user_events"]
    events = pd.DataFrame({name: table[name].combine_chunks().dictionary_encode().to_pandas() for name in texts})
    for name in ("timestamp", "received_at", "completed", "scroll_position"):
        events[name] = table[name].to_pandas()
    events["at"] = np.minimum(events["timestamp"], events["received_at"])
    events["day"] = events["at"].dt.normalize()
    found["user_events"] = events
    found["days"] = (
        events.drop_duplicates(["user_id", "day", "session_id"])
        .groupby(["user_id", "day"], observed=True).size().rename("sessions").reset_index()
    )
    return found


@pytest.fixture(scope="module")
def small() -> Simulation:
    return simulate(days=75, scale=0.06, seed=5)


@pytest.fixture(scope="module")
def made() -> Simulation:
    return simulate(days=DAYS, scale=0.8, seed=7)


@pytest.fixture(scope="module")
def t(made: Simulation) -> Frames:
    return frames(made)


@pytest.fixture(scope="module")
def clean() -> Frames:
    return frames(simulate(days=DAYS, scale=0.5, seed=8, clean=True))


# -- possible ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_row_is_within_its_contract_and_every_metric_has_a_value(small: Simulation) -> None:
    with prodsense.warehouse.open(":memory:") as warehouse:
        for name, table in small.tables.items():
            report = warehouse.ingest(table, table=f"stickiness.{name}")
            assert report.accepted == table.num_rows, str(report)
        warehouse.build("stickiness")
        for metric in PACK.metrics.values():
            if not metric.hidden:
                rows = warehouse.metric(f"stickiness.{metric.name}").rows
                assert any(row[metric.name] is not None for row in rows), metric.name


def test_events_are_possible(small: Simulation) -> None:
    t = frames(small)
    events, users = t["user_events"], t["users"].set_index("user_id")
    assert set(events["user_id"]) <= set(users.index)
    assert len(set(small.tables["user_events"]["event_id"].to_pylist())) == len(events)
    assert (events["day"] >= events["user_id"].map(users["signup_date"])).all()
    assert events["day"].between(START, START + pd.Timedelta(days=74)).all()
    events["starts"] = events["event_type"] == "session_start"
    sessions = events.groupby("session_id", observed=True).agg(
        user=("user_id", "first"), users=("user_id", "nunique"), start=("at", "min"), end=("at", "max"),
        starts=("starts", "sum"), devices=("device", "nunique"),
    )
    assert (sessions[["users", "starts", "devices"]] == 1).all().all()
    ordered = sessions.sort_values(["user", "start"])
    before = ordered.groupby("user")["end"].shift()
    # Sessions of a user lie at least half an hour apart, so that cutting events by inactivity finds the same ones.
    assert ((ordered["start"] - before).dropna() >= pd.Timedelta(minutes=29)).all()
    videos = events["content_type"].isin(["video", "story"])
    assert (events["completed"].notna() == videos).all()
    assert (events["scroll_position"].notna() == (events["content_type"] == "post")).all()


def test_connections_are_possible(small: Simulation) -> None:
    t = frames(small)
    connections, signup = t["connections"], t["users"].set_index("user_id")["signup_date"]
    assert (connections["user_id"] < connections["connected_user_id"]).all()
    assert not connections.duplicated(["user_id", "connected_user_id"]).any()
    for end in ("user_id", "connected_user_id"):
        assert (connections["created_at"] >= connections[end].map(signup)).all()


def test_short_runs_are_possible() -> None:
    assert simulate(days=1, scale=0.02).truth["retention"]["d7"]["organic"] is None


# -- planted -------------------------------------------------------------------------------------------


def on_day(t: Frames, n: int, users: pd.Series | None = None) -> pd.Series:
    """Whether each new user who is old enough was active on day n, by user."""
    people = t["users"][~t["users"]["is_internal"]].set_index("user_id")
    old = people["signup_date"].between(START, START + pd.Timedelta(days=DAYS - 1 - n))
    ids = people.index[old] if users is None else people.index[old].intersection(users)
    day = (people.loc[ids, "signup_date"] + pd.Timedelta(days=n)).rename("day").reset_index()
    met = day.merge(t["days"].astype({"user_id": str}), on=["user_id", "day"], how="left")
    return met.set_index("user_id")["sessions"].notna().astype(float)


def near(found: pd.Series, expected: float, sds: float = 3.5) -> bool:
    """Whether the mean of 0s and 1s is within so many standard errors of what was planted."""
    return abs(found.mean() - expected) < sds * np.sqrt(0.25 / len(found))


def test_retention_by_channel(made: Simulation, t: Frames) -> None:
    source = t["users"].set_index("user_id")["acquisition_source"]
    for n in (1, 7, 30):
        for name, expected in made.truth["retention"][f"d{n}"].items():
            assert near(on_day(t, n, source.index[source == name]), expected), (n, name)
    d7 = {name: on_day(t, 7, source.index[source == name]).mean() for name in ("referral", "social_ads")}
    assert d7["referral"] > d7["social_ads"] + 0.1


def variants(t: Frames, experiment: str) -> pd.Series:
    found = t["experiment_assignments"]
    return found[found["experiment"] == experiment].set_index("user_id")["variant"]


def test_onboarding_lifts_day_seven(made: Simulation, t: Frames) -> None:
    arm = variants(t, "onboarding_flow_test")
    treated, control = (on_day(t, 7, arm.index[arm == name]) for name in ("treatment", "control"))
    effect = made.truth["onboarding_flow_test"]["effect"]
    assert effect > 0.06
    assert abs((treated.mean() - control.mean()) - effect) < 3 * np.sqrt(0.25 / len(treated) + 0.25 / len(control))


def sessions_a_day(t: Frames, users: pd.Index, since: pd.Timestamp, until: pd.Timestamp) -> pd.Series:
    """Mean sessions on an active day, by user."""
    days = t["days"]
    days = days[days["user_id"].isin(users) & (days["day"] >= since) & (days["day"] < until)]
    return days.groupby("user_id", observed=True)["sessions"].mean()


def test_notifications_lift_sessions(made: Simulation, t: Frames) -> None:
    arm, since = variants(t, "notification_strategy_test"), pd.Timestamp(made.truth["notification_strategy_test"]["from"])
    end = START + pd.Timedelta(days=DAYS)
    treated, control = (sessions_a_day(t, arm.index[arm == name], since, end).mean() for name in ("treatment", "control"))
    assert treated / control - 1 == pytest.approx(made.truth["notification_strategy_test"]["effect"], abs=0.06)
    before = [sessions_a_day(t, arm.index[arm == name], START, since).mean() for name in ("treatment", "control")]
    assert before[0] / before[1] - 1 == pytest.approx(0.0, abs=0.06)


def by_platform(t: Frames) -> pd.DataFrame:
    """Active users by day and platform."""
    users = t["user_events"].drop_duplicates(["user_id", "platform", "day"])
    return users.groupby(["platform", "day"], observed=True).size().unstack(0)


def test_android_is_missing_on_two_days(made: Simulation, t: Frames) -> None:
    daily = by_platform(t)
    lost = pd.to_datetime(made.truth["tracking_loss"]["days"])
    around = daily.loc[lost[0] - pd.Timedelta(days=7): lost[0] - pd.Timedelta(days=1)].mean()
    fall = daily.loc[lost].mean() / around
    assert fall["android"] == pytest.approx(0.1, abs=0.06)
    assert fall["ios"] == pytest.approx(1.0, abs=0.15)


def test_steady_users_fall(made: Simulation, t: Frames) -> None:
    drop = pd.Timestamp(made.truth["session_drop"]["from"])
    users = pd.Index(made.truth["session_drop"]["users"])
    end = START + pd.Timedelta(days=DAYS)
    assert len(users) == 12
    assert (sessions_a_day(t, users, START, drop) > 4).all()
    assert (sessions_a_day(t, users, drop, end) == 1).all()
    makers = made.truth["creation_drop"]["users"]
    made_by = t["user_events"][t["user_events"]["event_type"].isin(["post_creation", "story_creation", "comment"])]
    mine = made_by[made_by["user_id"].isin(makers)]
    assert (mine.groupby("user_id", observed=True).size() > 100).all()
    assert (mine["day"] < drop).all()


def test_churners_leave_with_a_warning(made: Simulation, t: Frames) -> None:
    users = made.truth["churn"]["users"]
    gone = set(users) - set(made.truth["churn"]["resurrected"])
    days = t["days"].astype({"user_id": str})
    back = days[days["user_id"].isin(made.truth["churn"]["resurrected"])]
    days = days[days["user_id"].isin(gone)]
    last = days.groupby("user_id")["day"].max()
    assert (last < START + pd.Timedelta(days=DAYS - 1)).all()
    left = (days["user_id"].map(last) - days["day"]).dt.days
    assert days[left < 7]["sessions"].mean() < 0.75 * days[left > 20]["sessions"].mean()
    gap = back.sort_values("day").groupby("user_id")["day"].diff().dt.days
    longest = gap.groupby(back["user_id"]).max().dropna()
    assert (longest > 30).mean() > 0.7


def fourth_week(t: Frames) -> pd.Series:
    return pd.concat([on_day(t, n) for n in range(21, 28)], axis=1).dropna().max(axis=1)


def adopters(t: Frames, feature: str) -> pd.Index:
    events = t["user_events"]
    used = events[(events["event_type"] == "feature_usage") & (events["feature_name"] == feature)]
    first = used.astype({"user_id": str}).merge(t["users"][["user_id", "signup_date"]], on="user_id")
    return pd.Index(first[(first["day"] - first["signup_date"]).dt.days <= 6]["user_id"].unique())


def test_groups_cause_and_stories_only_select(made: Simulation, t: Frames) -> None:
    stays = fourth_week(t)
    for feature in ("groups", "stories"):
        mine = stays.index.isin(adopters(t, feature))
        apart = stays[mine].mean() - stays[~mine].mean()
        error = np.sqrt(0.25 / mine.sum() + 0.25 / (~mine).sum())
        assert abs(apart - made.truth[feature]["adopters_minus_others"]) < 3 * error, feature
        assert apart > error, feature
    assert made.truth["groups"]["effect"] == pytest.approx(made.truth["groups"]["adopters_minus_others"], abs=0.03)
    assert made.truth["stories"]["effect"] == 0.0


def test_creators_show_up_more(made: Simulation, t: Frames) -> None:
    events = t["user_events"]
    old = t["users"][t["users"]["signup_date"] < START]["user_id"]
    days = t["days"][t["days"]["user_id"].isin(old)].astype({"user_id": str}).groupby("user_id").size()
    posts = events[events["event_type"] == "post_creation"]["user_id"].unique()
    ratio = days[days.index.isin(posts)].mean() / days[~days.index.isin(posts)].mean()
    # Above what is planted, since who is there more often is also seen posting more often.
    assert 1.15 < ratio < 2.0


def test_value_and_satisfaction(made: Simulation, t: Frames) -> None:
    events = t["user_events"]
    days = t["days"].astype({"user_id": str}).groupby("user_id").agg(days=("day", "size"), sessions=("sessions", "sum"))
    days = days[days["days"] >= 10]
    towards = events[events["event_type"].isin(["like", "share", "direct_message"])]["user_id"].astype(str).value_counts()
    ltv = t["user_ltv"].set_index("user_id")["ltv"]
    a_day = (towards / days["days"]).reindex(days.index).fillna(0)
    assert np.corrcoef(a_day, ltv[days.index])[0, 1] > 0.7
    short = days.index[days["sessions"] / days["days"] > 2.2]
    csat = t["survey_responses"].query("survey_type == 'csat'").set_index("user_id")["score"]
    apart = csat[csat.index.isin(short)].mean() - csat[csat.index.isin(days.index.difference(short))].mean()
    assert apart == pytest.approx(made.truth["csat"]["effect"], abs=0.2)


def test_clocks_ahead_are_seen_against_the_server(made: Simulation, t: Frames) -> None:
    events = t["user_events"]
    ahead = events[events["timestamp"] > events["received_at"]]["user_id"].unique()
    assert set(ahead) <= set(made.truth["fast_clocks"]["users"])
    assert set(made.truth["fast_clocks"]["users"]) & set(events["user_id"]) <= set(ahead)


# -- clean ---------------------------------------------------------------------------------------------


def test_a_clean_run_plants_nothing(clean: Frames) -> None:
    assert simulate(days=5, scale=0.05, clean=True).truth == {}
    source = clean["users"].set_index("user_id")["acquisition_source"]
    whole = on_day(clean, 7).mean()
    for name in source.unique():
        assert near(on_day(clean, 7, source.index[source == name]), whole), name
    arm = variants(clean, "onboarding_flow_test")
    apart = [on_day(clean, 7, arm.index[arm == name]) for name in ("treatment", "control")]
    assert abs(apart[0].mean() - apart[1].mean()) < 3 * np.sqrt(2 * 0.25 / min(map(len, apart)))
    daily = by_platform(clean)
    assert (daily / daily.rolling(7, center=True).median()).min().min() > 0.5
    events = clean["user_events"]
    assert (events["timestamp"] <= events["received_at"]).all()


def test_one_effect_may_be_planted_alone() -> None:
    only = simulate(days=40, scale=0.1, clean=True, effects={"groups_lift": 0.2})
    assert only.truth["groups"]["effect"] > 0.05
    assert (only.truth["tracking_loss"]["effect"], only.truth["churn"]["users"]) == (0.0, [])
