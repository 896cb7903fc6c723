"""What a simulator is told: how large a product it makes, and the effects that it plants in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

from prodsense.errors import UsageError


def check_size(days: int, scale: float) -> None:
    """UsageError for a length or a size of which no product can be made."""
    if days < 1:
        raise UsageError(f"days must be at least 1, not {days}")
    if not 0.02 <= scale <= 1000:
        raise UsageError(f"scale must be from 0.02 to 1000, not {scale}")


@dataclass(frozen=True)
class PlantedEffects:
    """The sizes of planted effects, one field each; a simulator's own class names them and says what they do."""

    #: Sizes at which an effect does nothing, where that is not 0.
    NEUTRAL: ClassVar[Mapping[str, float]] = {}

    @classmethod
    def none(cls) -> Self:
        """No effect at all."""
        return cls(**{field.name: cls.NEUTRAL.get(field.name, 0.0) for field in fields(cls)})

    @classmethod
    def chosen(cls, sizes: Mapping[str, float] | None, clean: bool) -> Self:
        """The effects as declared (none where `clean`), with other `sizes` by name; UsageError for an unknown one."""
        return (cls.none() if clean else cls()).override(sizes or {})

    def override(self, sizes: Mapping[str, float]) -> Self:
        """These effects with other sizes; UsageError for one that does not exist."""
        known = [field.name for field in fields(self)]
        if unknown := sorted(set(sizes) - set(known)):
            raise UsageError(f"no planted effect named {', '.join(unknown)}. Known: {', '.join(known)}")
        return replace(self, **{name: float(size) for name, size in sizes.items()})
