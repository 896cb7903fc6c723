"""The project's words: one frozen declaration for each kind of artefact (docs/concepts.md).

Declarations hold no logic: what they mean is decided by the layer that runs them
(metrics compile `Metric`, build runs `Model`, and so on). All names are unique in their pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["up", "down", "none"]
Grain = Literal["day", "week", "month", "quarter", "year", "all"]
#: What a value is set against: that of the period before, or of a year before.
Comparison = Literal["previous", "year"]
ParamType = Literal["integer", "number", "text", "date", "timestamp", "boolean"]

#: Sentinel of a parameter that has to be given.
REQUIRED: Any = "<required>"


@dataclass(frozen=True)
class Param:
    """A named, typed parameter of a query, policy, analysis or detector."""

    name: str
    type: ParamType = "text"
    default: Any = REQUIRED
    says: str = ""


@dataclass(frozen=True)
class Metric:
    """A number with a unit, a better-direction, a source and a definition.

    Exactly one form applies:

    * aggregate: `source` and `sql`, an aggregate expression over the source's columns; `where`
      restricts the rows that count;
    * derived: no `source`; `sql` is an expression over the names of other metrics, each of which is
      aggregated apart at its own source and meets the others on period and slices.

    Modifiers of an aggregate: `rolling` (trailing days, for ``count(distinct x)``), `per` (the value
    is defined per day, week or month; coarser grains give the mean over those inside), `last`
    (semi-additive: the value of the period's last day with data), `matures` (days that must pass
    after a row's time before it counts; rows younger than that at `as_of` are left out and the
    period is marked incomplete), `share_of` (slices as a share of the total over that dimension list,
    empty tuple for the grand total). `rolling` beside `per` is for grains finer than `per`: monthly users
    of a day are those of the trailing days. `as_of` names a column (``relation.column``) that is watched
    beside the source's own time: cohorts are dated by signup, but known as far as activity goes.
    """

    name: str
    says: str
    unit: str
    better: Better
    sql: str
    source: str = ""
    where: str = ""
    time: str = ""
    by: tuple[str, ...] = ()
    rolling: int = 0
    per: Literal["", "day", "week", "month"] = ""
    last: bool = False
    matures: int = 0
    share_of: tuple[str, ...] | None = None
    as_of: str = ""
    focus: tuple[str, str] | None = None
    grain: Grain = "all"
    hidden: bool = False


@dataclass(frozen=True)
class MetricTree:
    """How a metric is made of others: `metric` = `sql`, a formula of metrics with + - * / and ratio().

    A derived metric is its own tree; this is for one with a source (revenue = orders * value of an order), or for
    a second way to take one apart. That the formula gives the metric is checked whenever it is used.
    """

    name: str
    says: str
    metric: str
    sql: str


@dataclass(frozen=True)
class Dimension:
    """Something to slice by.

    `at` maps a table, view or model to the SQL expression over its columns. A metric's source
    uses the nearest home that many-to-one joins reach, itself first. The key ``"*"`` stands for
    every source with a time; there ``time`` names the row's moment.
    """

    name: str
    says: str
    at: Mapping[str, str]
    label: str = ""


@dataclass(frozen=True)
class Query:
    """A named, parameterised SELECT; `sql` may be left to `queries/<name>.sql`."""

    name: str
    says: str
    sql: str = ""
    params: tuple[Param, ...] = ()
    as_of: str = ""
    path: str = ""


@dataclass(frozen=True)
class Model:
    """A derived table or view: one SELECT with a header (see `packs`).

    One that `completes` a table holds that table's rows and more of their kind: to show the table is to show the model.
    """

    name: str
    says: str
    sql: str
    kind: Literal["table", "view"] = "table"
    key: tuple[str, ...] = ()
    partition: str = ""
    time: str = ""
    late_days: int = 0
    spread_days: int = 0
    references: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    completes: str = ""


@dataclass(frozen=True)
class Analysis:
    """A named run of a method: `run(warehouse, **params)` returns rows and named extras.

    Given one of the parameters named in `standalone`, it reads no table, and so needs no warehouse.
    """

    name: str
    says: str
    run: Callable[..., Any]
    params: tuple[Param, ...] = ()
    kind: Literal["analysis", "algorithm", "function"] = "analysis"
    standalone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Detector:
    """A named rule over a metric or a table that yields findings: what is off, where, since when, by how much.

    Either `sql` (may be left to `detectors/<name>.sql`), a SELECT of findings, or `run(warehouse, **params)`, which
    returns rows. Columns of a finding: ``subject, period, metric, value, expected, low, high, score, reason`` and,
    to depart from the declared ones, ``severity, action``; all may be missing, others are kept behind them.

    A rule that looks back takes the parameter ``as_of``; that is what makes it testable on history. `cooldown` is
    how many days a closed finding stays quiet before the same one is raised again; `action` says what to do about
    it. `prodsense.inference.detectors` makes the usual ones in a line.
    """

    name: str
    says: str
    sql: str = ""
    run: Callable[..., Any] | None = None
    params: tuple[Param, ...] = ()
    severity: Literal["info", "warning", "critical"] = "warning"
    as_of: str = ""
    metric: str = ""
    cooldown: int = 7
    action: str = ""
    path: str = ""


@dataclass(frozen=True)
class Experiment:
    """A named design: who is assigned to what, which metrics decide, and how it is read.

    Metrics are named, not declared again: what each unit adds to a metric is derived from the metric's own
    definition. `guardrails` maps a metric to the most that it may get worse: a number in the metric's unit, or
    a text such as ``"5%"`` for a share of the control's value. Metrics of `secondary` are shown and decide nothing.

    `sql` selects the assignments: ``unit`` (text), ``arm``, ``assigned_at`` (may be NULL), and any further column
    that `cluster`, `strata`, `segments` or `covariates` name. Without it, the rows of ``experiment_assignments``
    whose experiment is this one. `key` is the column that identifies the unit on the sources of the metrics.

    `cluster` names the column of what was randomised together (switchback: place and window), `strata` columns to
    adjust for. `shares` are the planned shares of traffic (equal ones without). A metric's rows count from the
    unit's assignment on (`since_assignment`), for `within_days` where that is given; `before_days` is the length
    of the time before it whose values of the same metric explain variance away (CUPED).

    `run(warehouse, **params)` stands for the whole analysis where a design needs one of its own; it returns
    rows and named extras.
    """

    name: str
    says: str
    unit: str
    arms: tuple[str, ...]
    primary: tuple[str, ...]
    guardrails: Mapping[str, float | str] = field(default_factory=dict)
    design: str = "randomised"
    plan: str = ""
    secondary: tuple[str, ...] = ()
    control: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    key: str = ""
    sql: str = ""
    cluster: str = ""
    strata: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    since_assignment: bool = True
    within_days: int = 0
    before_days: int = 0
    sequential: bool = False
    correction: Literal["holm", "hochberg", "bonferroni", "bh", "by", "none"] = "holm"
    alpha: float = 0.05
    run: Callable[..., Any] | None = None
    params: tuple[Param, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A rule that must hold; `sql` selects its violations (no row: it holds).

    `sql` may be left to `policies/<name>.sql`. `check(warehouse, **params)`, for what SQL cannot see,
    returns an iterable of violations as dicts with at least the key ``violation``.
    """

    name: str
    says: str
    sql: str = ""
    check: Callable[..., Any] | None = None
    params: tuple[Param, ...] = ()
    as_of: str = ""
    level: Literal["error", "warning"] = "error"


@dataclass(frozen=True)
class Pipeline:
    """A named set of models with freshness and lateness; `run(warehouse)` for what is not a build."""

    name: str
    says: str
    models: tuple[str, ...] = ()
    fresh_hours: float = 24.0
    late_days: int = 0
    run: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Chart:
    """A named picture of a metric or a query.

    `form` is one of line, bar, area, heatmap, histogram, funnel, table, number.
    """

    name: str
    says: str
    metrics: tuple[str, ...] = ()
    query: str = ""
    form: str = "line"
    by: tuple[str, ...] = ()
    grain: Grain = "day"
    compare: str = ""
    x: str = ""
    y: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""


@dataclass(frozen=True)
class Section:
    """A titled group of a dashboard: headline metrics and charts (a declared name or a Chart)."""

    title: str
    metrics: tuple[str, ...] = ()
    charts: tuple[str | Chart, ...] = ()
    policies: tuple[str, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Dashboard:
    """A page of sections for a role, with the dimensions that filter it."""

    name: str
    says: str
    sections: tuple[Section, ...]
    role: str = "analyst"
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What a team asks, in our own words, and which artefacts answer it."""

    id: str
    ask: str
    answers: tuple[str, ...]
    headline: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """One field of an event: its type in SQL, whether it must be there, what it means."""

    name: str
    type: str
    required: bool = False
    says: str = ""
    unit: str = ""


@dataclass(frozen=True)
class EventSource:
    """Where users of a product act: a table or model, and which of its columns are user, time and event.

    A pack's `events.py` declares its own as ``EVENTS_TABLE``; methods then need no columns to be named.
    `where` says which rows count (not those of internal and test users).
    """

    table: str
    user: str
    time: str
    event: str | None = None
    device: str | None = None
    dimensions: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Event:
    """A contracted event: name, version, fields. A higher version may only add optional fields."""

    name: str
    says: str
    fields: tuple[Field, ...]
    version: int = 1


#: In `Role.may`: all artefacts of a kind.
ALL = ("*",)


@dataclass(frozen=True)
class Role:
    """Who may see what of a pack. What is not allowed here is refused.

    `rows` maps a relation to the condition that its rows must meet, over its columns and the actor's attributes
    (``"restaurant_id = :restaurant_id"``; empty for all rows); a relation that it does not name is closed. None opens
    all rows of all relations of the pack. `attributes` are what is known of who asks, each with its type.

    `may` maps a kind (``metrics``, ``queries``, ``analyses``, ``experiments``, ``detectors``, ``policies``,
    ``dashboards``, ``questions``, ``explain``, ``methods``, ``rows`` to read stored rows, ``findings``, ``system``
    for the project's own records) to the names allowed, or to `ALL`; what it does not name is refused.

    Personal columns are hidden, but those of `see`; `hide` hides others. Both name a column of every relation, or
    ``relation.column``. `k` is how many people a group must hold to be shown (0: any); queries are then only shown
    with `counts`, query → the column of its rows that holds their number, then those that tell the rows apart.
    `raw_sql` shows statements. `peers` lets a role stand beside its peers: the slice that is its own, the attribute
    that says which, and the slices that peers are alike in.
    """

    name: str
    says: str = ""
    attributes: tuple[Param, ...] = ()
    rows: Mapping[str, str] | None = field(default_factory=dict)
    may: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    see: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    k: int = 0
    counts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    raw_sql: bool = False
    peers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """A kind of person that a pack knows, and what goes when one of them is forgotten.

    `key` is the column that identifies one (``dim_customers.customer_id``). Their rows are those of `key`'s table,
    those whose column references it or is named in `columns` (relation → columns, where they meet its condition of
    `where`, if there is one), and all that reference any of these.

    `blank` maps a relation to columns that are emptied instead, because its rows are other people's too: a row that
    has the person, or a row that goes, in those columns alone stays without them.
    """

    name: str
    says: str
    key: str
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    blank: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
