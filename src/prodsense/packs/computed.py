"""What a pack computes by functions of its own: named where it is declared, loaded when it runs.

::

    ANALYSES = (
        algorithm(__package__, "content_roi_model", "Return on titles.", "titles", as_of("the newest session")),
    )

Listing the catalogue then loads no method. What declares several binds the package once:
``_algorithm = partial(algorithm, __package__)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from prodsense.contracts.vocabulary import Analysis, Param

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

CONFIDENCE = Param("confidence", "number", 0.95, "Level of the intervals; significance is one less it.")
WINDOW = (
    Param("start_date", "date", None, "First day, inside."),
    Param("end_date", "date", None, "Last day, inside."),
)


def as_of(newest: str) -> Param:
    """The moment that an analysis looks from; `newest` says what it is where none is given."""
    return Param("as_of", "timestamp", None, f"The moment to look from; {newest} by default.")


def back_from(newest: str) -> Param:
    """The moment that a detector looks back from; `newest` says what it is where none is given."""
    return Param("as_of", "timestamp", None, f"The moment to look back from (default: {newest}).")


@dataclass(frozen=True)
class PackFunction:
    """The function `name` of the pack's module `module`, to be called with a warehouse."""

    package: str
    module: str
    name: str

    def load(self) -> Callable[..., Any]:
        return getattr(import_module(f"{self.package}.{self.module}"), self.name)

    def __call__(self, warehouse: Any, **given: Any) -> Any:
        return self.load()(warehouse, **given)


def algorithm(
    package: str, name: str, says: str, module: str, *params: Param,
    kind: Literal["analysis", "algorithm", "function"] = "algorithm", standalone: tuple[str, ...] = (),
) -> Analysis:
    """An analysis that is the function of its name in the pack's `module`."""
    return Analysis(name, says, PackFunction(package, module, name), params, kind, standalone)


def floats(table: pa.Table, name: str) -> np.ndarray:
    """A column as floats, NaN where it is null."""
    import numpy as np

    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=float)
