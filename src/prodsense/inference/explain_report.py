"""What an explanation says: hypotheses ranked with their evidence, as text, JSON, picture and page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prodsense.metrics.result import Rows, plain
from prodsense.metrics.show import number

#: A mix, a part or a slice has to account for this share of the move to be a hypothesis.
WORTH = 0.25
#: Slices that are told as hypotheses.
SLICES = 3

LABEL = "observational"
CAVEAT = (
    "observational: what moved together with the number, not proof of what moved it; an experiment or a"
    " quasi-experimental comparison can give that"
)


@dataclass(frozen=True)
class Story:
    """All that was found about a move; see `Explanation` for what becomes of it."""

    metric: str
    unit: str
    better: str
    window_before: str
    window_after: str
    before: float | None
    after: float | None
    kind: str | None
    usual: Mapping[str, Any]
    onset: Mapping[str, Any] | None
    tree: tuple[dict[str, Any], ...] = ()
    tree_sql: str = ""
    sliced: str = ""
    dims: tuple[str, ...] = ()
    slices: tuple[dict[str, Any], ...] = ()
    answers: tuple[dict[str, Any], ...] = ()
    candidates: tuple[dict[str, Any], ...] = ()
    mix: tuple[dict[str, Any], ...] = ()
    breakdown: tuple[dict[str, Any], ...] = ()
    events: tuple[dict[str, Any], ...] = ()
    looked_at: int = 0
    sliced_move: float | None = None
    overdispersion: float = 1.0


@dataclass(frozen=True, repr=False, eq=False)
class Explanation(Rows):
    """Why a number moved. Rows: the slices that explain it, in the order they were taken.

    Extras: ``metric, from, to, before, after, delta, change``; ``usual`` (is the move beyond what is usual), ``onset``,
    ``tree`` (parts of the formula), ``mix`` (rate and mix by dimension), ``breakdown`` (each dimension alone),
    ``answers`` and ``candidates`` (slices with dimension and value apart, the latter before any was set aside),
    ``events``, ``hypotheses`` (ranked) and ``label``.
    """

    lines: tuple[str, ...] = ()
    unit: str = ""
    better: str = "none"

    def narrow(self) -> Rows:
        """The slices as a terminal shows them."""
        kept = ["rank", "slice", "before", "after", "change", "share_of_move", "score"]
        shown = [name for name in kept if name in self.arrow.column_names]
        units = {**self.units, "change": "share", "share_of_move": "share"}
        return Rows(arrow=self.arrow.select(shown), units=units, title="slices")

    def print(self, *, file: Any = None, limit: int | None = None) -> None:
        for line in self.lines:
            print(line, file=file)
        if len(self):
            print(file=file)
            self.narrow().print(file=file, limit=limit)
        for note in self.notes:
            print(note, file=file)

    def __str__(self) -> str:
        table = ["", str(self.narrow())] if len(self) else []
        return "\n".join([*self.lines, *table, *self.notes])

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "notes": list(self.notes)}

    def chart(self, form: str = "bar", **options: Any) -> Any:
        """The effects of the parts of the tree, or else of the slices, as bars."""
        tree = self.extras["tree"]
        rows = [{"part": r["part"], "effect": r["effect"]} for r in tree] or [
            {"part": r["slice"], "effect": r["effect"]} for r in self.rows
        ]
        if not rows:
            rows = [{"part": "all", "effect": self.extras["delta"]}]
        units = {"effect": self.unit}
        return Rows.from_rows(rows, title=f"What moved {self.extras['metric']}", units=units).chart(form, **options)

    def page(self) -> Any:
        """The explanation as a page: `.save(path)` writes HTML or a picture."""
        from prodsense.inference.explain_page import page_of

        return page_of(self)


def explanation(
    story: Story, notes: Sequence[str], statements: Sequence[str], moved: Mapping[str, float | None]
) -> Explanation:
    """The finished answer of a story."""
    ranked = hypotheses(story)
    extras = {
        "metric": story.metric, "from": story.window_before, "to": story.window_after, "before": story.before,
        "after": story.after, **moved, "usual": dict(story.usual) or None,
        "onset": dict(story.onset) if story.onset else None,
        "tree": list(story.tree), "tree_formula": story.tree_sql or None, "sliced": story.sliced or None,
        "dims": list(story.dims), "mix": list(story.mix), "breakdown": list(story.breakdown),
        "answers": list(story.answers), "candidates": list(story.candidates), "slices_looked_at": story.looked_at,
        "overdispersion": story.overdispersion, "events": list(story.events), "hypotheses": ranked, "label": LABEL,
    }  # fmt: skip
    base = Rows.from_rows(story.slices)
    unit = dict.fromkeys(("before", "after"), story.unit) if story.sliced == story.metric.split(".")[-1] else {}
    return Explanation(
        arrow=base.arrow, extras=extras, units=unit, notes=(*notes, CAVEAT), title=f"explain {story.metric}",
        lines=tuple(_lines(story, ranked, moved)), unit=story.unit, better=story.better,
    )


def _lines(story: Story, ranked: Sequence[Mapping[str, Any]], moved: Mapping[str, float | None]) -> list[str]:
    """The answer in words, the headline first."""
    say = _saying(story.unit)
    change = f" ({moved['change']:+.1%})" if moved["change"] is not None else ""
    lines = [
        f"{story.metric}: {say(story.before)} in {story.window_before}, {say(story.after)} in {story.window_after}"
        f"{change}"
    ]
    usual = story.usual
    if usual.get("score") is not None:
        lines.append(
            f"  is it real: {usual['verdict']} ({usual['score']:+.1f} usual spreads; {usual['compared_with']} earlier"
            " changes)"
        )
    elif usual:
        lines.append("  is it real: unknown, there is too little history to tell what is usual")
    if story.onset:
        lines.append(
            f"  since: {story.onset['day']}, from about {say(story.onset['before'])} a day to"
            f" {say(story.onset['after'])}"
        )
    if ranked:
        lines.append("  hypotheses:")
        lines += [f"    {h['rank']}. {h['says']}" for h in ranked]
    if story.tree:
        lines.append(f"  parts: {story.tree_sql}")
        width = max(len(row["part"]) for row in story.tree)
        for row in story.tree:
            part = f"{row['change']:+.1%}" if row["change"] is not None else ""
            share = f", {row['share_of_move']:.0%} of the move" if row["share_of_move"] is not None else ""
            lines.append(f"    {row['part'].ljust(width)}  {part:>8}  effect {_signed(say, row['effect'])}{share}")
    return lines


def _saying(unit: str) -> Callable[[float | None], str]:
    return lambda value: "–" if value is None else number(value, unit)


def _signed(say: Callable[[float | None], str], value: float) -> str:
    return ("+" if value > 0 else "") + say(value)


def hypotheses(story: Story) -> list[dict[str, Any]]:
    """What may have moved the number, the strongest first; strength is the share of the move it accounts for."""
    found: list[dict[str, Any]] = []

    def add(kind: str, says: str, strength: float | None, **evidence: Any) -> None:
        found.append({"kind": kind, "says": says, "strength": strength, "evidence": plain(evidence)})

    score = story.usual.get("score")
    if story.usual.get("verdict") == "usual":
        add("chance", f"no more than usual: earlier changes of this kind differ by as much ({score:+.1f} spreads)", 1.0,
            **story.usual)
    _add_slices(story, add)
    # Effects of more than twice the move cancel each other: none of them explains it.
    for row in story.mix[:1]:
        share = row["mix_share"]
        if share is not None and WORTH <= share <= 2:
            add("mix",
                f"the mix of {row['dimension']} shifted: {share:.0%} of the move; {row['largest_shift']} went from"
                f" {row['weight_before']:.0%} to {row['weight_after']:.0%} of the whole", share, **row)
    for row in story.tree:
        share = row["share_of_move"]
        if share is not None and WORTH <= share <= 2:
            change = f" ({row['change']:+.1%})" if row["change"] is not None else ""
            add("part", f"{row['part']}{change} accounts for {share:.0%} of the move", share, **row)
    for event in story.events:
        lag = event["days_before_onset"]
        when = "on the day it began" if lag == 0 else f"{abs(lag)} days {'before' if lag > 0 else 'after'} it began" \
            if lag is not None else "between the windows"
        add("event", f"{event['what']} ({event['at']}), {when}", None, **event)
    return _ranked(found)


def _add_slices(story: Story, add: Callable[..., None]) -> None:
    """Slices, the whole (a move that all share), and slices whose rows stopped altogether."""
    own = [row for row in story.slices if row["slice"] != "all"]
    whole = next((row for row in story.slices if row["slice"] == "all"), None)
    if whole is not None and whole["rank"] == 1:
        add("broad", f"all slices of {', '.join(story.dims)} moved together"
            + (f" ({whole['change']:+.1%})" if whole["change"] is not None else "")
            + ": look for a cause that all share (season, price, release, outage)", _not_mix(story), **whole)
    of = "the move" if story.sliced == story.metric.rpartition(".")[2] else f"the move of {story.sliced}"
    for row in own[:SLICES]:
        share = row["share_of_move"]
        if share is None or share < 0.05:
            continue
        if row["after"] == 0 and (row["before"] or 0) > 0 and story.kind == "additive":
            add("data", f"{row['slice']} stopped altogether: check that it is still recorded before anything else;"
                f" {share:.0%} of {of}", min(share, 1.0) + 0.01, **row)
            continue
        change = f", {row['change']:+.1%}" if row["change"] is not None else ""
        add("slice", f"{row['slice']}{change}: {share:.0%} of {of}", min(share, 1.0), **row)


def _not_mix(story: Story) -> float:
    """What a shift of weights leaves of a move that all seem to share."""
    shift = max((abs(row["mix_share"]) for row in story.mix if row["mix_share"] is not None), default=0.0)
    return max(0.0, 1.0 - shift)


def _ranked(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chance first where the move is usual, then by strength; what has none (events) behind the strongest."""
    order = {"chance": 0, "event": 2}
    listed = sorted(found, key=lambda h: (order.get(h["kind"], 1), -(h["strength"] or 0.0)))
    return [{"rank": rank, **h} for rank, h in enumerate(listed, 1)]


