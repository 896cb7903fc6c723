"""What a build did, model by model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prodsense.errors import UsageError

Mode = Literal["full", "incremental", "unchanged", "view", "failed", "skipped"]


@dataclass(frozen=True)
class ModelBuild:
    """What happened to one model.

    `partitions` were computed anew (incremental builds). `late` are those of them for which data arrived
    although the model already held a newer partition. `pending` wait outside the window that was asked
    for. `rows` were written. `total_rows` the model now holds. `reason` says why this mode.
    """

    model: str
    mode: Mode
    reason: str = ""
    partitions: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    rows: int = 0
    total_rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class BuildReport:
    """One entry a model, in build order."""

    models: tuple[ModelBuild, ...]
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether no model failed or was skipped."""
        return not self.failed and not any(m.mode == "skipped" for m in self.models)

    @property
    def failed(self) -> tuple[ModelBuild, ...]:
        return tuple(m for m in self.models if m.mode == "failed")

    def __iter__(self) -> Iterator[ModelBuild]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, name: str) -> ModelBuild:
        """The entry of a model by its qualified name."""
        for model in self.models:
            if model.model == name:
                return model
        raise UsageError(f"{name} was not part of this build")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"seconds": self.seconds, "models": [asdict(m) for m in self.models]}

    def __str__(self) -> str:
        lines = []
        for m in self.models:
            parts = [f"{m.model}: {m.mode}"]
            if m.mode in ("full", "incremental"):
                parts.append(f"{m.rows:,} rows in {m.seconds:.2f} s")
            if m.partitions:
                parts.append(f"{len(m.partitions)} partitions ({_some(m.partitions)})")
            if m.late:
                parts.append(f"late data restated {_some(m.late)}")
            if m.pending:
                parts.append(f"{len(m.pending)} partitions pending ({_some(m.pending)})")
            if m.reason:
                parts.append(m.reason)
            lines.append("; ".join(parts))
        return "\n".join(lines)


@dataclass(frozen=True)
class Restated:
    """How the rows of one model changed when partitions were computed anew.

    `before` and `after` count the rows of `partitions` (of the whole model where that is empty).
    `changed` counts keys whose row was added, removed or altered; where the model declares no key, rows of
    either version that the other lacks (an altered row then counts once, in the larger of the two).
    """

    model: str
    mode: Mode
    partitions: tuple[str, ...]
    before: int
    after: int
    changed: int
    reason: str = ""


@dataclass(frozen=True)
class RestateReport:
    """One entry for the restated model and each table that stands on it."""

    models: tuple[Restated, ...]

    @property
    def ok(self) -> bool:
        return not any(m.mode in ("failed", "skipped") for m in self.models)

    def __iter__(self) -> Iterator[Restated]:
        return iter(self.models)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"models": [asdict(m) for m in self.models]}

    def __str__(self) -> str:
        return "\n".join(
            f"{m.model}: {m.mode}; rows {m.before:,} before, {m.after:,} after, {m.changed:,} changed"
            + (f"; {_some(m.partitions)}" if m.partitions else "") + (f"; {m.reason}" if m.reason else "")
            for m in self.models
        )


def _some(values: tuple[str, ...]) -> str:
    return ", ".join(values) if len(values) <= 3 else f"{values[0]} … {values[-1]}"
