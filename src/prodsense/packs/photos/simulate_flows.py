"""Who uploads what, and how far each upload gets: where everything is planted.

An upload goes through its phases until it stops: the user leaves, puts it aside as a draft, or gives up after a failed
transfer. All of it is drawn at once, as arrays with one entry an upload; `events_table` then writes what clients log on
the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.packs.planted import PlantedEffects
from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY, day_weights, moments
from prodsense.simulate.users import choose, propensities

NETWORKS = ("Wi-Fi", "4G", "5G", "3G")
NETWORK_SHARES = np.array([0.45, 0.25, 0.15, 0.15])
#: Megabits a second; fast enough everywhere that nobody waits, until something is planted.
SPEED = np.array([60.0, 45.0, 60.0, 40.0])
SLOW = 3
DEVICES = ("Orbit 14", "Orbit 11", "Pixelon 9", "Pixelon 6")
DEVICE_SHARES = np.array([0.3, 0.25, 0.25, 0.2])
DEVICE_AGES = np.array([0.5, 3.0, 1.0, 4.5])
OLD = 3
REGIONS = ("north", "south", "east", "west")
STEPS = (
    "upload_initiation", "source_selection", "camera_experience", "editing_filtering", "captioning_tagging",
    "upload_transfer", "confirmation_post_upload",
)
KINDS = ("start", "end", "error", "exit")
START, END, ERROR, EXIT = range(4)
CODES = (
    "NETWORK_TIMEOUT", "HTTP_503_SERVER_ERROR", "MEDIA_FORMAT_UNSUPPORTED", "OUT_OF_STORAGE", "PERMISSION_DENIED",
    "E99",
)
CODE_SHARES = np.array([0.5, 0.25, 0.05, 0.08, 0.04, 0.08])
TOOLS = ("filter", "crop", "adjustment")
TOOL_SHARES = np.array([0.45, 0.32, 0.28])
CROP = 1
MOST_ATTEMPTS = 4
#: Share of uploads that end in each of the phases 1 to 5 because the user leaves.
LEAVE = np.array([0.03, 0.04, 0.04, 0.04, 0.04])
FAIL = 0.06
RETRY = 0.7
DRAFTS, POSTED = 0.12, 0.6


@dataclass(frozen=True)
class Effects(PlantedEffects):
    """What is planted, with its size. `Effects.none()` is a product without any of it."""

    NEUTRAL: ClassVar[Mapping[str, float]] = {"slow_network": 1.0, "slow_edits": 1.0}

    #: How many times slower the network 3G is.
    slow_network: float = 12.0
    #: How many times longer an edit takes on the oldest device.
    slow_edits: float = 10.0
    #: Added to the probability that a transfer fails, on the oldest device over 3G.
    fragile_segment: float = 0.45
    #: Added to the probability to leave at the caption screen.
    caption_wall: float = 0.18
    #: Added to the probability of an error at the selection of a source, a permission denied.
    permission_errors: float = 0.12
    #: Share of croppers who do not find the tool.
    hidden_crop: float = 0.92
    #: Added to the share of uploads at the caption screen that are put aside, and taken from those posted later.
    draft_hoarding: float = 0.2


@dataclass(frozen=True)
class Flows:
    """Uploads, one entry each; times are seconds since the first midnight, NaN for what never came.

    `stop` is the phase in which it ended, 8 when it succeeded. `attempts` of the transfer, 0 when it never began.
    """

    start: date
    days: int
    effects: Effects
    user: NDArray
    internal: NDArray
    at: NDArray
    network: NDArray
    device: NDArray
    region: NDArray
    size: NDArray
    camera: NDArray
    edited: NDArray
    captioned: NDArray
    tools: NDArray
    denied: NDArray
    stop: NDArray
    draft: NDArray
    draft_gap: NDArray
    attempts: NDArray
    codes: NDArray
    automatic: NDArray
    begins: NDArray
    load: NDArray
    edit_seconds: NDArray
    transfer_seconds: NDArray

    @property
    def count(self) -> int:
        return int(self.at.size)

    @property
    def succeeded(self) -> NDArray:
        return self.stop == 8

    @property
    def done(self) -> NDArray:
        """When the last attempt of the transfer ended."""
        return self.begins[:, 5] + self.attempts * (self.transfer_seconds + 1.0)


def ids(number: NDArray, prefix: str = "p") -> pa.Array:
    return col.codes(prefix, number)


def make_flows(start: date, days: int, scale: float, streams: Streams, effects: Effects) -> Flows:
    """Draw the uploads of some days; scale 1 is 200 uploads a day by 1,500 users."""
    rng = streams("users")
    users = max(round(1500 * scale), 10)
    activity = propensities(rng, users)
    own_device = choose(rng, DEVICE_SHARES, users)
    own_region = rng.integers(0, len(REGIONS), users)
    internal = rng.random(users) < 0.02

    rng = streams("uploads")
    n = max(int(rng.poisson(200 * scale * days)), 20)
    at = np.sort(moments(rng, n, day_weights(start, days))).astype(float)
    user = choose(rng, activity, n)
    network, device = choose(rng, NETWORK_SHARES, n), own_device[user]
    size = np.clip(rng.lognormal(np.log(2.8e6), 0.75, n), 1e5, 1.6e7)

    rng = streams("phases")
    camera, edited, captioned = (rng.random(n) < p for p in (0.3, 0.65, 0.85))
    visits = np.column_stack([np.ones(n), np.ones(n), camera, edited, captioned]) > 0
    leave = LEAVE + np.array([0, 0, 0, 0, effects.caption_wall])
    denied = rng.random(n) < 0.01 + effects.permission_errors
    left = (rng.random((n, 5)) < leave) & visits
    # Half of those who are denied a permission leave.
    left[:, 1] |= denied & (rng.random(n) < 0.5)
    draft = captioned & (rng.random(n) < DRAFTS + effects.draft_hoarding)
    posted = rng.random(n) < POSTED - 2.2 * effects.draft_hoarding
    left[:, 4] |= draft & ~posted
    stop = np.where(left.any(axis=1), left.argmax(axis=1) + 1, 6)
    draft &= stop >= 5
    posted &= draft & (stop > 5)
    tools = (rng.random((n, 3)) < TOOL_SHARES * np.where(np.arange(3) == CROP, 1 - effects.hidden_crop, 1.0))
    tools &= (edited & (stop >= 4))[:, None]

    rng = streams("transfer")
    fragile = (network == SLOW) & (device == OLD)
    fails = rng.random((n, MOST_ATTEMPTS)) < (FAIL + effects.fragile_segment * fragile)[:, None]
    again = rng.random((n, MOST_ATTEMPTS)) < RETRY
    again[:, -1] = False
    # The first attempt that does not fail, or after which nobody tries again, is the last one.
    last = (~fails | ~again).argmax(axis=1)
    sent = stop == 6
    stop = np.where(sent & ~fails[np.arange(n), last], 8, stop)
    slower = np.where(network == SLOW, effects.slow_network, 1.0)
    transfer = size * 8 / 1e6 / SPEED[network] * slower * rng.lognormal(0, 0.3, n)

    rng = streams("times")
    load = rng.lognormal(np.log([0.6, 0.8]), 0.4, (n, 2))
    edit = rng.lognormal(np.log(0.7), 0.4, (n, 3)) * np.where(device == OLD, effects.slow_edits, 1.0)[:, None]
    spent = rng.lognormal(np.log([0.8, 6, 5, 12, 10]), 0.4, (n, 5)) * visits
    spent[:, 1:3] += load * visits[:, 1:3]
    spent[:, 3] += (edit * tools).sum(axis=1)
    gap = np.where(posted, rng.exponential(0.3 * DAY, n), 0.0)
    begins = at[:, None] + np.column_stack([np.zeros(n), np.cumsum(spent, axis=1)])
    begins[:, 5] += gap
    return Flows(
        start, days, effects, user, internal[user], at, network, device, own_region[user], size, camera, edited,
        captioned, tools, denied, stop, draft, gap, np.where(sent, last + 1, 0),
        choose(rng, CODE_SHARES, n * MOST_ATTEMPTS).reshape(n, MOST_ATTEMPTS), rng.random((n, MOST_ATTEMPTS)) < 0.3,
        begins, load, edit, transfer,
    )  # fmt: skip


class _Log:
    """Rows of events as they are added, each call one kind of event of many uploads."""

    def __init__(self) -> None:
        self.parts: dict[str, list[NDArray]] = {}

    def add(
        self, upload: NDArray, phase: NDArray | int, kind: int, at: NDArray, status: int = -1,
        seconds: NDArray | None = None, code: NDArray | int = -1, tool: int = -1,
    ) -> None:
        n = upload.size
        row = {
            "upload": upload, "phase": np.broadcast_to(phase, n), "kind": np.full(n, kind), "at": at,
            "status": np.full(n, status), "seconds": np.full(n, np.nan) if seconds is None else seconds,
            "code": np.broadcast_to(code, n), "tool": np.full(n, tool),
        }
        for name, values in row.items():
            self.parts.setdefault(name, []).append(values)

    def columns(self) -> dict[str, NDArray]:
        found = {name: np.concatenate(parts) for name, parts in self.parts.items()}
        order = np.lexsort((found["kind"], found["phase"], found["at"], found["upload"]))
        return {name: values[order] for name, values in found.items()}


def events_table(flows: Flows) -> pa.Table:
    """What the clients log: start, end, error and exit of each phase."""
    log, everyone = _Log(), np.arange(flows.count)
    visits = [everyone >= 0, everyone >= 0, flows.camera, flows.edited, flows.captioned]
    for phase, there in enumerate(visits, 1):
        came = np.flatnonzero(there & (flows.stop >= phase))
        begin = flows.begins[came, phase - 1]
        over = flows.begins[came, phase] - (flows.draft_gap[came] if phase == 5 else 0.0)
        log.add(came, phase, START, begin)
        stays = flows.stop[came] > phase
        load = flows.load[came, phase - 2] if phase in (2, 3) else None
        if phase == 4:
            for tool in range(len(TOOLS)):
                used = came[flows.tools[came, tool]]
                done = flows.begins[used, 3] + 2.0 + tool
                log.add(used, 4, END, done, seconds=flows.edit_seconds[used, tool], tool=tool)
            stays &= ~flows.tools[came].any(axis=1)
        log.add(came[stays], phase, END, over[stays], seconds=None if load is None else load[stays])
        left = flows.stop[came] == phase
        log.add(came[left], phase, EXIT, over[left])
    denied = np.flatnonzero(flows.denied & (flows.stop >= 2))
    log.add(denied, 2, ERROR, flows.begins[denied, 1] + 0.2, status=1, code=4)
    for nth in range(MOST_ATTEMPTS):
        tried = np.flatnonzero(flows.attempts > nth)
        begin = flows.begins[tried, 5] + nth * (flows.transfer_seconds[tried] + 1.0)
        log.add(tried, 6, START, begin)
        good = flows.succeeded[tried] & (flows.attempts[tried] == nth + 1)
        done = begin + flows.transfer_seconds[tried]
        log.add(tried[good], 6, END, done[good], status=0, seconds=flows.transfer_seconds[tried[good]])
        log.add(tried[~good], 6, ERROR, done[~good], status=1, code=flows.codes[tried[~good], nth])
    ended = np.flatnonzero(flows.stop == 6)
    log.add(ended, 6, EXIT, flows.done[ended] + 2)
    seen = np.flatnonzero(flows.succeeded)
    log.add(seen, 7, START, flows.done[seen])
    log.add(seen, 7, END, flows.done[seen] + 1.5, status=0)
    rows = log.columns()
    return pa.table({
        "event_id": ids(np.arange(rows["upload"].size), "e"),
        "upload_id": ids(rows["upload"]),
        "user_id": ids(flows.user[rows["upload"]], "u"),
        "step": col.labels(rows["phase"] - 1, STEPS),
        "event_type": col.labels(rows["kind"], KINDS),
        "timestamp": col.timestamps(np.round(rows["at"], 3), flows.start),
        "status": col.labels(np.maximum(rows["status"], 0), ("success", "failed"), rows["status"] < 0),
        "duration_ms": pa.array(np.round(rows["seconds"] * 1000), mask=np.isnan(rows["seconds"])),
        "error_code": col.labels(np.maximum(rows["code"], 0), CODES, rows["code"] < 0),
        "edit_tool": col.labels(np.maximum(rows["tool"], 0), TOOLS, rows["tool"] < 0),
        "event_date": col.dates(np.floor(np.round(rows["at"], 3) / DAY), flows.start),
    })  # fmt: skip


def describe(flows: Flows) -> dict[str, Any]:
    """What was planted, each with its size, unit and place."""
    effects = flows.effects
    return {
        "slow_network": {
            "unit": "times slower", "effect": effects.slow_network, "step": "upload_transfer",
            "network_type": NETWORKS[SLOW],
        },
        "slow_edits": {
            "unit": "times longer", "effect": effects.slow_edits, "step": "editing_filtering", "device": DEVICES[OLD],
        },
        "fragile_segment": {
            "unit": "probability that an attempt fails, added", "effect": effects.fragile_segment,
            "network_type": NETWORKS[SLOW], "device": DEVICES[OLD],
        },
        "caption_wall": {
            "unit": "probability to leave, added", "effect": effects.caption_wall, "step": "captioning_tagging",
        },
        "permission_errors": {
            "unit": "errors an upload at the selection of a source, added", "effect": effects.permission_errors,
            "step": "source_selection", "error_category": "permission_denied",
        },
        "hidden_crop": {"unit": "share of croppers lost", "effect": effects.hidden_crop, "feature": "crop"},
        "draft_hoarding": {"unit": "share of uploads put aside, added", "effect": effects.draft_hoarding},
    }  # fmt: skip
