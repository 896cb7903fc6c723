"""Where an upload hurts: steps that take long, fail or lose people, features that nobody finds, segments that suffer.

Each rule looks at the uploads of the last `days` days and holds what it sees against a stated limit, over all of them
and in the segments asked for. Findings name the step and the segment, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.detect import TooLittleError, newest_of
from prodsense.inference.detect_rules import subject_of

from .analyses import STAGES

if TYPE_CHECKING:
    from prodsense.behavior.associations import Association
    from prodsense.warehouse import Warehouse

Row = dict[str, Any]
#: A segment: dimensions and their values.
Key = tuple[tuple[str, Any], ...]
#: Uploads, and those of them that went wrong.
Cell = tuple[int, int]

SEGMENTS = "network_type, device, region, file_size_band"
FEATURES = {
    "filter": "filter_adoption_rate", "crop": "crop_adoption_rate", "adjustment": "adjustment_adoption_rate",
    "caption": "caption_usage_rate", "people tags": "people_tag_usage_rate", "location tag": "location_tag_usage_rate",
}  # fmt: skip
#: The phase that people leave when they do not reach the next stage.
PHASES = (
    "upload_initiation", "source_selection", "editing_filtering", "captioning_tagging", "upload_transfer",
    "confirmation_post_upload",
)
ADVICE = {
    "source_selection": "Load thumbnails first, and the gallery in the background.",
    "camera_experience": "Open the camera before it is asked for.",
    "editing_filtering": "Apply edits to a small preview, and to the photo while it is sent.",
    "upload_transfer": "Send a smaller file on slow networks, in parts that can be resumed, in the background.",
}


@dataclass(frozen=True)
class Window:
    """The uploads that a rule looks at: those begun from `since` on and before `until`, as known at `as_of`."""

    warehouse: Warehouse
    as_of: datetime
    since: date
    until: date

    @classmethod
    def of(cls, warehouse: Warehouse, as_of: datetime | None, days: int) -> Window:
        if days < 1:
            raise UsageError(f"days is {days}; look at one day at least")
        warehouse.ready("photos", ["upload_facts"])
        moment = newest_of(warehouse, "photos.upload_facts", "started_at", as_of)
        if moment is None:
            raise TooLittleError("there are no uploads yet")
        until = (as_of or moment).date() + timedelta(days=1)
        return cls(warehouse, as_of or moment, until - timedelta(days=days), until)

    def ask(self, *metrics: str, by: Sequence[str] = (), known: bool = True) -> list[Row]:
        """Rows of metrics over the window; with `known`, slices that are not known are left out."""
        names = [f"photos.{name}" for name in metrics]
        found = self.warehouse.metric(
            *names, by=tuple(by), grain="all", since=self.since, until=self.until, as_of=self.as_of
        )
        return [row for row in found.rows if not known or all(row[name] is not None for name in by)]


def totals(cells: Sequence[Row], metric: str, groups: Sequence[tuple[str, ...]]) -> dict[Key, float]:
    """A metric that adds up over `cells`, by each of several groups of dimensions. Unknown slices are left out."""
    found: dict[Key, float] = {}
    for row in cells:
        for names in groups if row[metric] is not None else ():
            key = tuple((name, row[name]) for name in names)
            if all(value is not None for _, value in key):
                found[key] = found.get(key, 0) + row[metric]
    return found


def segments(by: str | None) -> list[tuple[str, ...]]:
    """All uploads, and one dimension after the other: ``[(), ("device",)]``."""
    return [(), *((name.strip(),) for name in (by or "").split(",") if name.strip())]


def _finding(key: Row, window: Window, **row: Any) -> Row:
    """A finding about a place (step and segment), dated by the first day that was looked at."""
    return {"subject": subject_of(key, tuple(key)), "period": window.since, **key, **row}


def bottlenecks(
    warehouse: Warehouse, as_of: datetime | None, days: int, by: str | None, share: float, min_seconds: float,
    min_uploads: int,
) -> Iterator[Row]:
    """The step that takes most of the measured time of a segment, and long enough that people wait for it."""
    window, judged = Window.of(warehouse, as_of, days), 0
    asked = segments(by)
    dims = [name for names in asked for name in names]
    sizes = totals(window.ask("measured_uploads", by=dims, known=False), "measured_uploads", asked)
    cells = window.ask("measured_seconds", by=("step", *dims), known=False)
    spent: dict[Key, dict[str, float]] = {}
    for key, seconds in totals(cells, "measured_seconds", [("step", *names) for names in asked]).items():
        spent.setdefault(key[1:], {})[key[0][1]] = seconds
    for segment, steps in spent.items():
        uploads, total = int(sizes[segment]), sum(steps.values())
        if uploads < min_uploads or not total:
            continue
        judged += 1
        step = max(steps, key=lambda name: (steps[name], name))
        each = steps[step] / uploads
        if steps[step] < share * total or each < min_seconds:
            continue
        yield _finding(
            {**dict(segment), "step": step}, window, value=steps[step] / total, expected=share,
            metric="share of the time measured", score=each,
            reason=f"{step} takes {steps[step] / total:.0%} of the time measured, {each:.1f} s an upload"
                   f" ({uploads} uploads)",
            action=ADVICE.get(step),
        )  # fmt: skip
    if not judged:
        raise TooLittleError(f"fewer than {min_uploads} uploads with a measured time in the {days} days")


def slow_steps(
    warehouse: Warehouse, as_of: datetime | None, days: int, by: str | None, max_seconds: float, min_uploads: int
) -> Iterator[Row]:
    """Steps whose median time is over the limit."""
    window, judged = Window.of(warehouse, as_of, days), 0
    for dims in segments(by):
        for row in window.ask("step_time_median", "measured_uploads", by=("step", *dims)):
            seconds, uploads = row["step_time_median"], row["measured_uploads"] or 0
            if uploads < min_uploads:
                continue
            judged += 1
            if seconds >= max_seconds:
                yield _finding(
                    {name: row[name] for name in ("step", *dims)}, window, value=seconds, expected=max_seconds,
                    metric="step_time_median", score=seconds / max_seconds,
                    reason=f"half of {uploads} uploads waited {seconds:.1f} s or longer in {row['step']}",
                    action=ADVICE.get(row["step"]),
                )  # fmt: skip
    if not judged:
        raise TooLittleError(f"no step with a measured time of {min_uploads} uploads in the {days} days")


def failing_steps(
    warehouse: Warehouse, as_of: datetime | None, days: int, by: str | None, limit: float, min_uploads: int
) -> Iterator[Row]:
    """Steps with more errors an upload than the limit, with the category that is most frequent there."""
    window, judged = Window.of(warehouse, as_of, days), 0
    for dims in segments(by):
        worst: dict[tuple[Any, ...], Row] = {}
        for row in window.ask("error_rate_per_step", by=("step", *dims, "error_category")):
            key = tuple(row[name] for name in ("step", *dims))
            if key not in worst or row["error_rate_per_step"] > worst[key]["error_rate_per_step"]:
                worst[key] = row
        for row in window.ask("error_rate_per_step", "uploads_in_step", by=("step", *dims)):
            rate, uploads = row["error_rate_per_step"], row["uploads_in_step"] or 0
            if rate is None or uploads < min_uploads:
                continue
            judged += 1
            if rate >= limit:
                key = tuple(row[name] for name in ("step", *dims))
                category = worst[key]["error_category"]
                yield _finding(
                    {name: row[name] for name in ("step", *dims)}, window, value=rate, expected=limit,
                    metric="error_rate_per_step", score=rate / limit, error_category=category,
                    reason=f"{rate:.1%} errors an upload in {row['step']} ({uploads} uploads), most of them {category}",
                    action="prodsense analyze photos.error_categorization names the codes; mend the most frequent"
                           " first.",
                )  # fmt: skip
    if not judged:
        raise TooLittleError(f"no step of {min_uploads} uploads in the {days} days")


def steep_stages(
    warehouse: Warehouse, as_of: datetime | None, days: int, by: str | None, drop: float, times: float,
    min_uploads: int,
) -> Iterator[Row]:
    """Stages after which a larger share is lost than the limit, and far more than after the others."""
    window, judged = Window.of(warehouse, as_of, days), 0
    for dims in segments(by):
        given = {"by": ", ".join(dims) or None, "since": window.since, "until": window.until, "as_of": as_of}
        slices: dict[tuple[Any, ...], list[int]] = {}
        for row in warehouse.analyze("photos.upload_funnel", **given).rows:
            slices.setdefault(tuple(row[name] for name in dims), []).append(row["count"])
        for key, counts in slices.items():
            lost = [1 - b / a if a else None for a, b in pairwise(counts)]
            for at, part in enumerate(lost):
                if part is None or counts[at] < min_uploads or any(value is None for value in key):
                    continue
                judged += 1
                others = [other for i, other in enumerate(lost) if i != at and other is not None]
                usual = median(others) if others else 0.0
                if part < drop or part < times * usual:
                    continue
                yield _finding(
                    {"step": PHASES[at], **dict(zip(dims, key, strict=True))}, window, value=part, expected=usual,
                    metric="drop-off", score=part / max(usual, 1e-9), stage=STAGES[at], next_stage=STAGES[at + 1],
                    reason=f"{part:.0%} of {counts[at]} uploads that reached {STAGES[at]} did not reach"
                           f" {STAGES[at + 1]}; of the other stages it is {usual:.0%}",
                    action="Watch people there, and see which error or wait comes before they leave.",
                )  # fmt: skip
    if not judged:
        raise TooLittleError(f"no stage that {min_uploads} uploads reached in the {days} days")


def unused_features(
    warehouse: Warehouse, as_of: datetime | None, days: int, limit: float, min_uploads: int
) -> Iterator[Row]:
    """Features that a smaller share of uploads uses than the limit."""
    window = Window.of(warehouse, as_of, days)
    (row,) = window.ask(*FEATURES.values(), "uploads_known")
    uploads = row["uploads_known"] or 0
    known = {feature: row[metric] for feature, metric in FEATURES.items() if row[metric] is not None}
    if uploads < min_uploads or not known:
        raise TooLittleError(f"{uploads} uploads in the {days} days, or nothing known of edits, captions and tags")
    for feature, adoption in known.items():
        if adoption < limit:
            yield _finding(
                {"feature": feature}, window, value=adoption, expected=limit, metric=FEATURES[feature],
                score=adoption / limit,
                reason=f"{adoption:.1%} of {uploads} uploads use {feature}: hard to find, hard to use, or of little"
                       " value",
                action="Show it in a usability test before taking it away: can people find it, and do they want it?",
            )  # fmt: skip


def hoarded_drafts(
    warehouse: Warehouse, as_of: datetime | None, days: int, save_rate: float, conversion: float, min_drafts: int
) -> Iterator[Row]:
    """Many uploads are saved as drafts, and few of the drafts are ever posted."""
    window = Window.of(warehouse, as_of, days)
    (row,) = window.ask("draft_save_rate", "draft_to_post_conversion_rate", "drafts_saved")
    saved, posted, drafts = row["draft_save_rate"], row["draft_to_post_conversion_rate"], row["drafts_saved"] or 0
    if saved is None or posted is None or drafts < min_drafts:
        raise TooLittleError(f"{drafts} drafts in the {days} days; {min_drafts} are needed")
    if saved >= save_rate and posted <= conversion:
        yield _finding(
            {}, window, value=posted, expected=conversion, metric="draft_to_post_conversion_rate",
            score=saved / save_rate,
            reason=f"{saved:.0%} of uploads are saved as drafts and {posted:.0%} of {drafts} drafts were posted:"
                   " trouble in the last steps, or indecision",
            action="See what comes before the save: an error, a long caption screen, a doubt about who will see it.",
        )  # fmt: skip


#: What goes wrong: of which uploads, how many; what it is called. The nearer cause first.
OUTCOMES = (
    ("transfers_begun", "transfers_lost", "transfers not completed"),
    ("uploads_started", "uploads_lost", "uploads not completed"),
)


def suffering_segments(
    warehouse: Warehouse, as_of: datetime | None, days: int, by: str | None, q: float, lift: float, min_uploads: int
) -> Iterator[Row]:
    """Segments, alone and two crossed, in which more uploads do not succeed than elsewhere: of those whose transfer was
    begun, and of all.

    Fisher's exact test against all other uploads, false discoveries held to `q` over the segments looked at (Benjamini
    and Hochberg). A crossed segment is told when it is also worse than the rest of either of its two, and a single
    one when it still is so without the crossed ones told. It says what goes together, not what causes it.
    """
    window = Window.of(warehouse, as_of, days)
    dims = [name for (name,) in segments(by)[1:]]
    groups: list[tuple[str, ...]] = [(), *((name,) for name in dims), *combinations(dims, 2)]
    answers = window.ask(*(name for made, lost, _ in OUTCOMES for name in (made, lost)), by=dims, known=False)
    told: set[Key] = set()
    judged = 0
    for made, lost, called in OUTCOMES:
        wrong = totals(answers, lost, groups)
        cells = {key: (int(size), int(wrong[key])) for key, size in totals(answers, made, groups).items()}
        total = cells.pop((), (0, 0))
        sized = {key: cell for key, cell in cells.items() if min(cell[0], total[0] - cell[0]) >= min_uploads}
        judged += len(sized)
        for key, found, adjusted in _worse_segments(sized, cells, total, q, lift, min_uploads):
            if key in told:
                continue
            told.add(key)
            (size, bad), rest = sized[key], (total[1] - sized[key][1]) / (total[0] - sized[key][0])
            yield _finding(
                dict(key), window, value=bad / size, expected=rest, metric=called, score=found.odds_ratio,
                q_value=adjusted,
                reason=f"{called}: {bad / size:.0%} of {size}, elsewhere {rest:.0%}",
                action="See which step fails there: prodsense metric photos.error_rate_per_step"
                       " --by step,error_category --where ...",
            )  # fmt: skip
    if not judged:
        raise TooLittleError(f"no segment of {min_uploads} uploads beside {min_uploads} others in the {days} days")


def _worse_segments(
    sized: dict[Key, Cell], cells: dict[Key, Cell], total: Cell, q: float, lift: float, least: int
) -> Iterator[tuple[Key, Association, float]]:
    """Segments that are worse than the rest, crossed ones first, with the association and its adjusted p-value.

    `cells` are all segments, `sized` those large enough to be tested.
    """
    from prodsense.behavior.associations import association, false_discovery

    def worse(inside: Cell, of: Cell) -> Association | None:
        """The association with the rest of `of`, or None where it is no worse."""
        (size, bad), (others, lost) = inside, (of[0] - inside[0], of[1] - inside[1])
        if min(size, others) < least or not bad or bad * others < lift * lost * size:
            return None
        return association(bad, size - bad, lost, others - lost)

    tests = {key: worse(cell, total) for key, cell in sized.items()}
    adjusted = dict(zip(tests, false_discovery([t.p_value if t else 1.0 for t in tests.values()]), strict=True))
    sure = [(key, test) for key, test in tests.items() if test is not None and adjusted[key] < q]
    crossed: list[Key] = []
    for key, test in sorted(sure, key=lambda item: (-len(item[0]), item[1].p_value)):
        if len(key) == 2:
            singles = [worse(cells[key], cells[part,]) for part in key]
            if not all(single is not None and single.p_value < q for single in singles):
                continue
            crossed.append(key)
        else:
            # Without the crossed segments it holds; where two of them overlap, they are taken out twice, which is few.
            parts = [cells[other] for other in crossed if key[0] in other]
            out = (sum(size for size, _ in parts), sum(bad for _, bad in parts))
            left = (cells[key][0] - out[0], cells[key][1] - out[1])
            alone = worse(left, (total[0] - out[0], total[1] - out[1])) if parts else test
            if alone is None or alone.p_value >= q:
                continue
        yield key, test, adjusted[key]
