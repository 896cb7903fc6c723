"""Who gets what: assignment by salted hashing, so that everyone who asks gets the same answer, and no table is kept.

A unit's place on [0, 1) is the first 52 bits of the MD5 of ``salt:unit``: the same in Python and in every engine
(macro `hash_share`). Each question has a salt of its own (held back? in this slot of the layer? let in yet? which
arm?), so that the answers do not depend on each other. What was in fact seen is the exposure log's matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.result import Rows

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

#: Why a unit has no arm.
HELD_BACK, ELSEWHERE, WAITING = "holdback", "other slot of the layer", "not rolled out yet"


def hash_share(text: str) -> float:
    """The place of a text on [0, 1)."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:13], 16) / 2**52


@dataclass(frozen=True)
class Split:
    """The shares of the arms from a moment on (None: from the beginning), and of all traffic that takes part."""

    shares: Mapping[str, float]
    since: datetime | None = None
    traffic: float = 1.0


@dataclass(frozen=True)
class Assignment:
    """A rule that gives each unit its arm.

    `arms` maps an arm to its share (they are scaled to 1). `splits` are later changes of shares or traffic; a unit
    keeps the split that was in force when it first came. Traffic that grows never moves those who are in. `layer`
    and `slot` keep experiments apart: those of one layer with slots that do not overlap share no unit. `holdback` is
    the share that takes part in nothing that has the same `holdback_salt`.
    """

    name: str
    arms: Mapping[str, float]
    traffic: float = 1.0
    splits: tuple[Split, ...] = ()
    layer: str = ""
    slot: tuple[float, float] = (0.0, 1.0)
    holdback: float = 0.0
    holdback_salt: str = "holdback"
    history: tuple[Split, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise UsageError("an assignment needs a name: it is the salt of its hash")
        history = (Split(self.arms, None, self.traffic), *self.splits)
        for split in history:
            if len(split.shares) < 1 or any(not share > 0 for share in split.shares.values()):
                raise UsageError(f"{self.name}: each arm has a share above 0")
            if not 0 <= split.traffic <= 1:
                raise UsageError(f"{self.name}: traffic lies between 0 and 1, not {split.traffic}")
        moments = [split.since for split in self.splits]
        if None in moments or any(b <= a for a, b in pairwise(moments)):  # type: ignore[operator]
            raise UsageError(f"{self.name}: later splits need moments that rise")
        if not 0 <= self.slot[0] < self.slot[1] <= 1:
            raise UsageError(f"{self.name}: a slot is a part of 0 to 1, such as (0, 0.5)")
        if not 0 <= self.holdback < 1:
            raise UsageError(f"{self.name}: holdback lies between 0 and 1, not {self.holdback}")
        object.__setattr__(self, "history", history)

    def split_at(self, at: datetime | None) -> Split:
        """The split in force at a moment (the newest without one)."""
        found = self.history[0]
        for split in self.history[1:]:
            if at is None or split.since is None or split.since <= at:
                found = split
        return found

    def arm(self, unit: Any, first_seen: datetime | None = None) -> str | None:
        """The arm of a unit that first came at a moment; None where it has none."""
        return self.decide(unit, first_seen)[0]

    def decide(self, unit: Any, first_seen: datetime | None = None) -> tuple[str | None, str | None]:
        """(arm, None) or (None, why not)."""
        if self.holdback and hash_share(f"{self.holdback_salt}:{unit}") < self.holdback:
            return None, HELD_BACK
        if self.layer and not self.slot[0] <= hash_share(f"{self.layer}:{unit}") < self.slot[1]:
            return None, ELSEWHERE
        split = self.split_at(first_seen)
        if hash_share(f"{self.name}:traffic:{unit}") >= split.traffic:
            return None, WAITING
        place, whole, so_far = hash_share(f"{self.name}:arm:{unit}"), sum(split.shares.values()), 0.0
        for arm, share in split.shares.items():
            so_far += share
            if place < so_far / whole:
                return arm, None
        return list(split.shares)[-1], None

    def overlaps(self, other: Assignment) -> bool:
        """Whether both may take the same unit: not when they have slots of one layer that lie apart."""
        apart = self.slot[1] <= other.slot[0] or other.slot[1] <= self.slot[0]
        return not (self.layer and self.layer == other.layer and apart)

    def sql(self, unit: str, first_seen: str = "") -> tuple[str, dict[str, Any]]:
        """A SQL expression (source dialect) of the arm of the column `unit`, and its parameters.

        `first_seen` is the column of when it first came; without it the newest split is taken.
        """
        column = f"text_of({comma([unit])})"
        params: dict[str, Any] = {"salt_traffic": f"{self.name}:traffic:", "salt_arm": f"{self.name}:arm:"}
        apart = []
        if self.holdback:
            params |= {"salt_holdback": f"{self.holdback_salt}:", "held_back": self.holdback}
            apart.append(f"hash_share(:salt_holdback || {column}) < :held_back")
        if self.layer:
            params |= {"salt_layer": f"{self.layer}:", "slot_from": self.slot[0], "slot_to": self.slot[1]}
            place = f"hash_share(:salt_layer || {column})"
            apart += [f"{place} < :slot_from", f"{place} >= :slot_to"]
        history = self.history if first_seen else (self.split_at(None),)
        arms = [self._split_sql(split, i, column, params) for i, split in enumerate(history)]
        chosen = arms[-1]
        if len(arms) > 1:
            params |= {f"since_{i}": split.since for i, split in enumerate(history) if i}
            moment = comma([first_seen])
            cases = "".join(f" WHEN {moment} < :since_{i + 1} THEN {arm}" for i, arm in enumerate(arms[:-1]))
            chosen = f"CASE{cases} ELSE {arms[-1]} END"
        return (f"CASE WHEN {' OR '.join(apart)} THEN NULL ELSE {chosen} END" if apart else chosen), params

    @staticmethod
    def _split_sql(split: Split, number: int, column: str, params: dict[str, Any]) -> str:
        params[f"traffic_{number}"] = split.traffic
        cases = f"WHEN hash_share(:salt_traffic || {column}) >= :traffic_{number} THEN NULL"
        whole, so_far = sum(split.shares.values()), 0.0
        for i, (arm, share) in enumerate(split.shares.items()):
            so_far += share
            params |= {f"arm_{number}_{i}": arm, f"edge_{number}_{i}": so_far / whole}
            if i < len(split.shares) - 1:
                cases += f" WHEN hash_share(:salt_arm || {column}) < :edge_{number}_{i} THEN :arm_{number}_{i}"
        return f"CASE {cases} ELSE :arm_{number}_{len(split.shares) - 1} END"


def assign(units: Iterable[Any], arms: Mapping[str, float] | Sequence[str], name: str, **rule: Any) -> Rows:
    """The arm of each unit by `Assignment`: rows of unit, arm and, where it has none, why.

    `arms` are names (equal shares) or shares by name; further arguments are those of `Assignment`.
    """
    shares = dict(arms) if isinstance(arms, Mapping) else dict.fromkeys(arms, 1.0)
    found = Assignment(name, shares, **rule)
    decided = [(unit, *found.decide(unit)) for unit in units]
    rows = [{"unit": unit, "arm": arm, "why_not": why} for unit, arm, why in decided]
    return Rows.from_rows(rows, title=name)


def assigned(engine: Engine, relation: str, unit: str, rule: Assignment) -> Rows:
    """The arm of each unit of a relation, decided in the engine: rows of unit and arm, by unit."""
    from prodsense.metrics.reading import find_column, relation_columns

    column = find_column(relation_columns(engine, relation), unit, "unit", relation)
    arm, params = rule.sql("unit")
    text = (
        f"SELECT unit, {arm} AS arm FROM (SELECT DISTINCT {comma([column])} AS unit FROM {quoted(relation)}"
        f" WHERE {comma([column])} IS NOT NULL) AS units ORDER BY unit"
    )
    return Rows(arrow=engine.query(text, params), statements=((text, params),), dialect=engine.dialect, title=rule.name)


def assign_clusters(
    clusters: Iterable[Any], arms: Sequence[str], name: str, strata: Mapping[Any, Any] | None = None
) -> dict[Any, str]:
    """Exactly balanced arms for few clusters: in each stratum by rank of their hash, arms in turn.

    With few clusters independent draws often come out lopsided; the rank keeps the numbers within one of each other.
    Which arm a stratum begins with is drawn too, so that strata of odd sizes do not favour the first arm.
    """
    if len(arms) < 2 or len(set(arms)) != len(arms):
        raise UsageError("clusters are assigned to at least two different arms")
    groups: dict[Any, list[Any]] = {}
    for cluster in dict.fromkeys(clusters):
        groups.setdefault(strata[cluster] if strata else None, []).append(cluster)
    found = {}
    for stratum, members in groups.items():
        start = int(hash_share(f"{name}:stratum:{stratum}") * len(arms))
        for rank, cluster in enumerate(sorted(members, key=lambda c: hash_share(f"{name}:cluster:{c}"))):
            found[cluster] = arms[(start + rank) % len(arms)]
    return found


@dataclass(frozen=True)
class Switchback:
    """Arms that switch by region and window of time.

    `balanced` gives each region every arm once in each run of as many windows as there are arms, in an order drawn
    anew for each run; else each window is drawn by itself. `burn_in_minutes` of each window are left out of an
    analysis, so that what the window before did has gone.
    """

    name: str
    arms: tuple[str, ...]
    window_minutes: int
    origin: datetime
    burn_in_minutes: float = 0.0
    balanced: bool = True

    def __post_init__(self) -> None:
        if len(self.arms) < 2 or len(set(self.arms)) != len(self.arms):
            raise UsageError(f"{self.name}: a switchback has at least two different arms")
        if self.window_minutes < 1 or not 0 <= self.burn_in_minutes < self.window_minutes:
            raise UsageError(f"{self.name}: a window takes at least a minute, and its burn-in is shorter than it")

    def window(self, moment: datetime) -> int:
        """The number of the window that holds a moment."""
        return (moment - self.origin) // timedelta(minutes=self.window_minutes)

    def start(self, window: int) -> datetime:
        return self.origin + timedelta(minutes=self.window_minutes) * window

    def arm(self, region: Any, moment: datetime) -> str:
        window, count = self.window(moment), len(self.arms)
        if not self.balanced:
            return self.arms[int(hash_share(f"{self.name}:{region}:{window}") * count)]
        run, place = divmod(window, count)
        order = sorted(range(count), key=lambda i: hash_share(f"{self.name}:{region}:{run}:{i}"))
        return self.arms[order[place]]

    def counts(self, moment: datetime) -> bool:
        """Whether a moment lies behind its window's burn-in."""
        return moment - self.start(self.window(moment)) >= timedelta(minutes=self.burn_in_minutes)

    def schedule(self, regions: Iterable[Any], since: Any, until: Any) -> Rows:
        """Rows of region, block (what is assigned), run, window, from, counts_from, to and arm.

        Of the windows that begin in [since, until). `run` is within what the arms were drawn: the stratum of an
        analysis that follows the design.
        """
        first, last = (periods.midnight(periods.read_day(m, what), "UTC") if not isinstance(m, datetime) else m
                       for m, what in ((since, "since"), (until, "until")))
        listed = list(regions)
        begin = self.window(first) + (self.start(self.window(first)) < first)
        rows = []
        window = begin
        while self.start(window) < last:
            at = self.start(window)
            rows += [
                {"region": region, "block": f"{region} {window}", "window": window,
                 "run": f"{region} {window // len(self.arms)}" if self.balanced else str(region), "from": at,
                 "counts_from": at + timedelta(minutes=self.burn_in_minutes),
                 "to": at + timedelta(minutes=self.window_minutes), "arm": self.arm(region, at)}
                for region in listed
            ]
            window += 1
        return Rows.from_rows(rows, title=self.name)


#: Where exposures are logged unless another table is named.
EXPOSURES = "prodsense.exposures"
_COLUMNS = {"experiment": "VARCHAR", "unit": "VARCHAR", "arm": "VARCHAR", "exposed_at": "TIMESTAMP"}


@dataclass(frozen=True)
class ExposureLog:
    """What units in fact saw: a row each time, of which the first counts."""

    engine: Engine
    table: str = EXPOSURES

    def log(self, experiment: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Append exposures (unit, arm, exposed_at); returns how many. Logging again is harmless."""
        import pyarrow as pa

        listed = list(rows)
        for row in listed:
            if missing := {"unit", "arm", "exposed_at"} - row.keys():
                raise UsageError(f"an exposure has unit, arm and exposed_at; {', '.join(sorted(missing))} is missing")
        self.engine.create_table(self.table, _COLUMNS)
        return self.engine.append(self.table, pa.table({
            "experiment": pa.array([experiment] * len(listed), pa.string()),
            "unit": pa.array([str(row["unit"]) for row in listed], pa.string()),
            "arm": pa.array([None if row["arm"] is None else str(row["arm"]) for row in listed], pa.string()),
            "exposed_at": pa.array([row["exposed_at"] for row in listed], pa.timestamp("us")),
        }))

    def first(self, experiment: str) -> Rows:
        """The first exposure of each unit that saw one arm only, as an experiment's assignments."""
        text = (
            f"SELECT unit, MIN(arm) AS arm, MIN(exposed_at) AS assigned_at, COUNT(*) AS exposures"
            f" FROM {quoted(self.table)} WHERE experiment = :experiment AND arm IS NOT NULL GROUP BY unit"
            " HAVING COUNT(DISTINCT arm) = 1 ORDER BY unit"
        )
        params = {"experiment": experiment}
        return Rows(arrow=self.engine.query(text, params), statements=((text, params),), title=experiment)

    def isolation(self, assignments: Sequence[Assignment], since: datetime | None = None) -> Rows:
        """Whether exposures kept to the rules, a row a check and experiment: units that broke it, ``ok`` or ``broken``.

        One arm a unit; the arm that the rule gives; nobody held back, elsewhere in the layer, or before `since`; no
        unit in two experiments whose slots lie apart.
        """
        rows: list[dict[str, Any]] = []
        for rule in assignments:
            expected, params = rule.sql("unit", "first_seen")
            params |= {"experiment": rule.name, "start": since}
            early = ", SUM(CASE WHEN first_seen < :start THEN 1 ELSE 0 END) AS early" if since is not None else ""
            found = self.engine.query(
                "WITH seen AS (SELECT unit, COUNT(DISTINCT arm) AS arms, MIN(arm) AS arm, MIN(exposed_at) AS first_seen"
                f" FROM {quoted(self.table)} WHERE experiment = :experiment AND arm IS NOT NULL GROUP BY unit),"
                f" decided AS (SELECT arms, arm, first_seen, {expected} AS rule_arm FROM seen)"
                " SELECT COUNT(*) AS units, SUM(CASE WHEN arms > 1 THEN 1 ELSE 0 END) AS several,"
                " SUM(CASE WHEN rule_arm IS NOT NULL AND (arms > 1 OR arm <> rule_arm) THEN 1 ELSE 0 END) AS other,"
                f" SUM(CASE WHEN rule_arm IS NULL THEN 1 ELSE 0 END) AS nobody{early} FROM decided", params,
            ).to_pylist()[0]
            checks = {"one arm a unit": "several", "the arm of the rule": "other", "nobody who has none": "nobody"}
            if since is not None:
                checks["nobody before the start"] = "early"
            rows += [{"experiment": rule.name, "check": check, "units": int(found[name] or 0), "of": found["units"]}
                     for check, name in checks.items()]
        for i, one in enumerate(assignments):
            for other in assignments[i + 1 :]:
                if not one.overlaps(other):
                    both = self.engine.query(
                        f"SELECT COUNT(*) AS n FROM (SELECT unit FROM {quoted(self.table)}"
                        " WHERE experiment IN (:one, :other) AND arm IS NOT NULL GROUP BY unit"
                        " HAVING COUNT(DISTINCT experiment) = 2) AS both_of_them",
                        {"one": one.name, "other": other.name},
                    )["n"][0].as_py()
                    rows.append({"experiment": f"{one.name}, {other.name}", "check": "no unit in both", "units": both,
                                 "of": None})
        return Rows.from_rows([{**row, "status": "broken" if row["units"] else "ok"} for row in rows],
                              title="isolation")
