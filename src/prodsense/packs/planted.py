"""What every pack's simulator is told: how large a product it makes, and the effects that it plants in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from prodsense.errors import UsageError
from prodsense.simulate import Simulation, Streams

E = TypeVar("E", bound="PlantedEffects")


#: Arrow tables by name, and what tells the truth planted in them: it is asked only where something was.
Made = tuple[dict[str, Any], Callable[[], dict[str, Any]]]


class Simulate(Protocol):
    """A pack's `simulate`; see `simulator`."""

    def __call__(
        self, days: int = ..., scale: float = 1.0, seed: int = 7, start: date = ...,
        effects: Mapping[str, float] | None = None, clean: bool = False,
    ) -> Simulation: ...  # fmt: skip


@dataclass(frozen=True)
class Setting(Generic[E]):
    """What a simulator makes its tables of."""

    start: date
    days: int
    scale: float
    streams: Streams
    effects: E


def simulator(
    effects: type[E], *, days: int, of: str, size: str
) -> Callable[[Callable[[Setting[E]], Made]], Simulate]:
    """Make a pack's `simulate` of what makes its tables, and what tells the truth planted in them.

    `effects` are the planted effects, `days` the length that shows them all, `of` the product, `size` that of scale 1.
    """

    def made(make: Callable[[Setting[E]], Made]) -> Simulate:
        usual = days

        def simulate(
            days: int = usual,
            scale: float = 1.0,
            seed: int = 7,
            start: date = date(2024, 1, 1),
            effects: Mapping[str, float] | None = None,
            clean: bool = False,
        ) -> Simulation:
            check_size(days, scale)
            planted = kind.chosen(effects, clean)
            tables, truth = make(Setting(start, days, scale, Streams(seed), planted))
            return Simulation(tables, {} if planted == kind.none() else truth())

        simulate.__module__ = make.__module__
        simulate.__doc__ = f"""Make the tables of {of} for `days` days from `start`.

        Args:
            days: length in days, at least 1.
            scale: size; 1 is {size}.
            seed: same seed, same tables.
            start: first day; all times are UTC.
            effects: planted sizes other than those of `Effects`, by name.
            clean: plant nothing (`effects` then adds to nothing).

        Raises:
            UsageError: a size of which no product can be made, or an effect that does not exist.
        """
        return simulate

    kind = effects
    return made


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
