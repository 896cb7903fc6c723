"""Who is on the platform, and how likely each of them is to show up on each day: where everything is planted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.planted import PlantedEffects
from prodsense.simulate import Streams

SOURCES = ("organic", "referral", "paid_search", "social_ads")
SOURCE_SHARES = (0.40, 0.20, 0.20, 0.20)
#: Probability to be active on day 1, and far out, of a user of level 1; it falls from one to the other by exp(-n / 8).
FIRST_DAY = np.array([0.55, 0.60, 0.45, 0.38])
FAR_OUT = np.array([0.30, 0.34, 0.22, 0.14])
FALL_DAYS = 8.0
CAMPAIGNS = ("spring_launch", "win_back")
AGES = ("13-17", "18-24", "25-34", "35-44", "45+")
GENDERS = ("female", "male", "other")
REGIONS = ("north", "south", "east", "west")
PLATFORMS = ("ios", "android", "web")
ANDROID = 1
DEVICES = ("phone", "tablet", "desktop")
FEATURES = ("feed", "stories", "messaging", "groups", "search")
STORIES, GROUPS = 1, 3
#: Relative activity of Monday to Sunday.
WEEK = np.array([1.0, 1.0, 1.0, 0.98, 0.96, 1.03, 1.04])
#: Nobody is surer than this to show up.
SUREST = 0.97
#: Days before a churner leaves, in which use falls.
WARNING_DAYS = 14
ONBOARDING_DAYS = 14


@dataclass(frozen=True)
class Effects(PlantedEffects):
    """What is planted, with its size. `Effects.none()` is a platform without any of it."""

    #: How far channels differ in retention: 1 as in FIRST_DAY and FAR_OUT, 0 not at all.
    source_spread: float = 1.0
    #: Added to the probability to be active on a day, of those who adopted groups on day 0 (at random).
    groups_lift: float = 0.12
    #: How steeply the odds to adopt stories rise with how well the user's channel retains; stories themselves do
    #: nothing.
    stories_selection: float = 5.0
    #: Creators (a quarter, at random) show up that much more often, as a fraction.
    creator_lift: float = 0.25
    #: Added to the probability to be active on days 1 to 14 by the new onboarding.
    onboarding: float = 0.10
    #: Sessions on an active day under the new notifications, as a fraction more.
    notification_sessions: float = 0.15
    #: Share of Android's user-days that are not recorded on two days.
    tracking_loss: float = 0.9
    #: Steady users whose sessions fall from five a day to one, ten days before the end.
    session_droppers: float = 12.0
    #: Steady creators who stop to create then.
    creation_droppers: float = 10.0
    #: Share of users who leave for good or for a month at least.
    churn: float = 0.15
    #: By how much the sessions of those fall in the 14 days before, as a fraction.
    churn_warning: float = 0.5
    #: Share of those who come back after 32 days.
    resurrection: float = 0.3
    #: Lifetime value for each unit of a user's sociability (mean 1), and for many short sessions instead of few long.
    sociable_ltv: float = 20.0
    short_sessions_ltv: float = 8.0
    #: Satisfaction (1 to 5) of users with many short sessions above that of the others.
    short_sessions_csat: float = 0.6
    #: Share of users whose clock is five minutes fast.
    fast_clocks: float = 0.01


@dataclass(frozen=True)
class People:
    """All users, by index; days count from the first simulated day, -1 stands for none."""

    start: date
    days: int
    effects: Effects
    signup: NDArray
    source: NDArray
    campaign: NDArray
    age: NDArray
    gender: NDArray
    region: NDArray
    platform: NDArray
    device: NDArray
    second_device: NDArray
    internal: NDArray
    creator: NDArray
    #: Many short sessions rather than few long ones.
    short: NDArray
    #: How active a user is anyway, mean 1; and how much turned to others, mean 1.
    level: NDArray
    sociable: NDArray
    #: Shape (users, features).
    adopts: NDArray
    #: 0 control, 1 treatment, -1 not in the test.
    onboarding: NDArray
    notification: NDArray
    leaves: NDArray
    returns: NDArray
    #: 1: sessions fall, 2: creation stops, 0: neither.
    dropper: NDArray
    fast_clock: NDArray
    #: Shape (users, days): probability to be active, and to be recorded as active.
    chance: NDArray
    recorded: NDArray

    @property
    def size(self) -> int:
        return self.signup.size

    @property
    def new(self) -> NDArray:
        return self.signup >= 0

    @property
    def test_from(self) -> int:
        """First day of the notification test."""
        return self.days // 3

    @property
    def drop_day(self) -> int:
        return max(self.days - 10, 0)

    @property
    def loss_days(self) -> NDArray:
        first = int(self.days * 0.6)
        return np.arange(first, min(first + 2, self.days))


def make_people(start: date, days: int, size: int, streams: Streams, effects: Effects) -> People:
    """Draw users and their chances; half of them were there before the first day."""
    rng = streams("people")
    new = np.arange(size) >= size // 2
    signup = np.where(new, rng.integers(0, days, size), -1 - rng.exponential(150, size).astype(np.int64))
    pick = lambda shares: np.searchsorted(np.cumsum(shares)[:-1], rng.random(size), side="right")  # noqa: E731
    source = pick(SOURCE_SHARES)
    platform = pick((0.45, 0.40, 0.15))
    device = np.where(platform == 2, np.where(rng.random(size) < 0.8, 2, 0), (rng.random(size) < 0.15).astype(np.int64))
    level = rng.gamma(4.0, 0.25, size)
    odds = np.exp(effects.stories_selection * (FAR_OUT[source] / FAR_OUT.mean() - 1.0))
    adopts = rng.random((size, len(FEATURES))) < np.array([0.95, 0.0, 0.50, 0.30, 0.25])
    adopts[:, STORIES] = rng.random(size) < odds / (1.0 + odds)
    dropper = np.zeros(size, np.int64)
    first, second = int(effects.session_droppers), int(effects.creation_droppers)
    old = min(size // 2, first + second)
    dropper[:old] = np.where(np.arange(old) < first, 1, 2)
    signup[:old] = np.minimum(signup[:old], -30)
    notification = np.where(signup < days // 3, (rng.random(size) < 0.5).astype(np.int64), -1)
    notification[dropper > 0] = -1

    leaver = (rng.random(size) < effects.churn) & (dropper == 0)
    earliest = np.maximum(signup + 10, WARNING_DAYS)
    leaves = np.where(leaver, earliest + rng.integers(0, max(days, 1), size), days + 1)
    leaves = np.where(leaves < days, leaves, days + 1)
    back = (leaves < days) & (rng.random(size) < effects.resurrection)
    people = People(
        start=start, days=days, effects=effects, signup=signup, source=source,
        campaign=np.where((source >= 2) & (rng.random(size) < 0.7), rng.integers(0, len(CAMPAIGNS), size), -1),
        age=pick((0.08, 0.30, 0.32, 0.18, 0.12)), gender=pick((0.48, 0.48, 0.04)),
        region=rng.integers(0, len(REGIONS), size), platform=platform, device=device,
        second_device=np.where(rng.random(size) < 0.15, (device + 1) % 3, -1),
        internal=(rng.random(size) < 0.01) & (dropper == 0), creator=(rng.random(size) < 0.25) | (dropper == 2),
        short=rng.random(size) < 0.5, level=level, sociable=rng.gamma(2.0, 0.5, size), adopts=adopts,
        onboarding=np.where(new, (rng.random(size) < 0.5).astype(np.int64), -1), notification=notification,
        leaves=leaves, returns=np.where(back, leaves + 32, days + 1), dropper=dropper,
        fast_clock=rng.random(size) < effects.fast_clocks, chance=np.empty(0), recorded=np.empty(0),
    )  # fmt: skip
    chance = chances(people)
    recorded = chance.copy()
    recorded[np.ix_(platform == ANDROID, people.loss_days)] *= 1.0 - effects.tracking_loss
    return replace(people, chance=chance, recorded=recorded)


def chances(people: People, lift: bool = True) -> NDArray:
    """Probability of each user to be active on each day; without what groups do where `lift` is false."""
    effects, days = people.effects, people.days
    spread = effects.source_spread
    first = FIRST_DAY.mean() + spread * (FIRST_DAY - FIRST_DAY.mean())
    far = FAR_OUT.mean() + spread * (FAR_OUT - FAR_OUT.mean())
    day = np.arange(days)[None, :]
    age = day - people.signup[:, None]
    fall = np.exp(-np.maximum(age - 1, 0) / FALL_DAYS)
    curve = far[people.source][:, None] + (first - far)[people.source][:, None] * fall
    found = curve * people.level[:, None] * (1.0 + effects.creator_lift * people.creator[:, None])
    if lift:
        found = found + effects.groups_lift * people.adopts[:, [GROUPS]]
    found = found + effects.onboarding * ((people.onboarding == 1)[:, None] & (age <= ONBOARDING_DAYS))
    found = found * WEEK[(people.start.weekday() + day) % 7]
    found = np.minimum(found, SUREST)
    found = np.where(people.dropper[:, None] > 0, 0.9, found)
    found = np.where(age == 0, 1.0, np.where(age < 0, 0.0, found))
    away = (day >= people.leaves[:, None]) & (day < people.returns[:, None])
    found = np.where(away, 0.0, found)
    return np.where(day >= people.returns[:, None], 0.5 * found, found)
