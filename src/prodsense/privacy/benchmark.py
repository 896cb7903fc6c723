"""One's own numbers beside those of peers, of whom none is shown.

Peers are alike in the slices that the role names, or else all others. A number of theirs is a mean of three neighbours
in their order, so that it is nobody's own; there must be enough of them, none may outweigh the others (the rule of one
and of two, after Hundepool et al., "Statistical Disclosure Control", 2012, section 4.2), and each must be about k
people or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.errors import ForbiddenError, UsageError

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows

#: Fewest peers, whatever k is: three numbers of theirs are means of three.
MIN_PEERS = 5
#: Largest share of all peers' people that the largest, and the two largest, may have.
DOMINANT = (0.5, 0.8)
_NEIGHBOURS = 3


def smoothed(values: Sequence[float], q: float) -> float:
    """The mean of the three values next to a quantile."""
    ordered = sorted(values)
    middle = round(q * (len(ordered) - 1))
    first = min(max(middle - 1, 0), len(ordered) - _NEIGHBOURS)
    return sum(ordered[first : first + _NEIGHBOURS]) / _NEIGHBOURS


def why_not(people: Sequence[int], k: int) -> str:
    """Why peers with so many people each cannot be shown together; empty where they can."""
    needed = max(k, MIN_PEERS)
    if len(people) < needed:
        return f"fewer than {needed} peers"
    total, ranked = sum(people), sorted(people, reverse=True)
    if ranked[0] > DOMINANT[0] * total or sum(ranked[:2]) > DOMINANT[1] * total:
        return "one or two peers outweigh the others"
    return ""


def standing(own: float | None, low: float, high: float, better: str) -> str | None:
    """Where one's own number stands among the peers', in the metric's better direction."""
    if own is None:
        return None
    place = -1 if own < low else 1 if own > high else 0
    if better == "none" or not place:
        return {-1: "below", 0: "among", 1: "above"}[place]
    return "ahead" if (place > 0) == (better == "up") else "behind"


def benchmark(view: Any, names: Sequence[str], request: Mapping[str, Any]) -> Rows:
    """Metrics of the actor's own beside low, middle and high (about the quarters) of peers, one row each and period.

    `view` is a `Restricted` warehouse whose role has peers. Rows of those with too few people, or peers that cannot
    be shown, say why under ``refused``.
    """
    from prodsense.metrics import Request, compile, run_plan
    from prodsense.metrics.result import Rows
    from prodsense.privacy.subjects import subject_columns
    from prodsense.privacy.suppress import supported

    found = [view.find("metrics", name) for name in names]
    if len({pack.name for pack, _ in found}) != 1:
        raise UsageError("a benchmark takes metrics of one pack")
    pack = found[0][0]
    metrics = [metric for _, metric in found]
    granted = view.grants.of(pack.name)
    if granted is None or not granted.role.peers:
        raise ForbiddenError(f"role {view.role} has no peers in {pack.name} to stand beside")
    mine, attribute, *alike = granted.role.peers
    own = view.grants.values[attribute]
    owned = {str(value) for value in (own if isinstance(own, tuple) else (own,))}
    k = view._k(pack.name)
    root = view.root()
    # The moment is one's own: how fresh the others' data are is theirs.
    moment = request.get("as_of") or view.metric(*names, **request).as_of
    support = supported(root.scope(pack.name), [m.name for m in metrics], pack.privacy("PEOPLE", {}),
                        subject_columns(pack))  # fmt: skip
    asked = {**request, "by": [mine, *alike], "as_of": moment}
    plan = compile(Request([*(m.name for m in metrics), *support.names], **asked), support.scope)
    result = run_plan(root.engine, plan)

    rows: list[dict[str, Any]] = []
    units = {}
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in result.rows:
        groups.setdefault(row.get("period"), []).append(row)
    for period, everyone in groups.items():
        others = [row for row in everyone if str(row[mine]) not in owned]
        for row in (row for row in everyone if str(row[mine]) in owned):
            like = [peer for peer in others if all(peer[name] == row[name] for name in alike)]
            for metric in metrics:
                head = {"period": period} if result.grain != "all" else {}
                beside = _beside(row, like, metric, support.counts[metric.name], k)
                near = ", ".join(alike)
                if beside["low"] is None and alike:
                    # Too few of the same kind: then all, where they are enough.
                    beside, near = _beside(row, others, metric, support.counts[metric.name], k), "all"
                rows.append({**head, mine: row[mine], "metric": metric.name, **beside, "alike": near})
    if len({metric.unit for metric in metrics}) == 1:
        units = dict.fromkeys(("own", "low", "middle", "high"), metrics[0].unit)
    table = Rows.from_rows(rows, units=units, title="own numbers beside those of peers")
    said = "low, middle and high are means of three peers about the quarters; a peer stands for at least"
    return Rows(table.arrow, units=units, title=table.title, notes=(f"{said} {k} people",))


def _beside(
    row: Mapping[str, Any], others: Sequence[Mapping[str, Any]], metric: Any, counts: Sequence[str], k: int
) -> dict[str, Any]:
    value = row[metric.name] if _people(row, counts) >= k else None
    peers = [
        (float(peer[metric.name]), _people(peer, counts)) for peer in others
        if peer[metric.name] is not None and _people(peer, counts) >= k
    ]  # fmt: skip
    refused = why_not([people for _, people in peers], k)
    numbers: dict[str, float | None] = dict.fromkeys(("low", "middle", "high"))
    place = None
    if not refused:
        values = [number for number, _ in peers]
        low, middle, high = (smoothed(values, q) for q in (0.25, 0.5, 0.75))
        numbers = {"low": low, "middle": middle, "high": high}
        place = standing(value, low, high, metric.better)
    if value is None and not refused and row[metric.name] is not None:
        refused = f"own: fewer than {k} people"
    return {"own": value, **numbers, "standing": place, "peers": None if refused else len(peers),
            "refused": refused or None}  # fmt: skip


def _people(row: Mapping[str, Any], counts: Sequence[str]) -> int:
    """People behind a row: the fewest of those that play a part; no limit where none do."""
    if not counts:
        return 1 << 30
    return min((int(row[name]) for name in counts if row[name]), default=0)
