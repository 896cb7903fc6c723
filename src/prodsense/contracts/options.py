"""What options of methods may say, and how names and parameters are written as text.

Light to import: the methods, the command line and the API all read their words from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from prodsense.errors import UsageError

#: How the steps of a funnel follow each other.
Order = Literal["ordered", "strict", "any"]
#: Which entries of a user count.
Entries = Literal["first", "best", "every"]
#: Whose value of a dimension an entry takes.
Attribution = Literal["entry", "first", "last"]
#: What counts as coming back on day N.
Return = Literal["exact", "unbounded", "rolling"]
#: Length of a period of the lifecycle.
Period = Literal["day", "week", "month", "quarter", "year"]
#: How the devices of one user make sessions.
Devices = Literal["apart", "together", "joined"]
#: What of the paths is told.
Shape = Literal["links", "matrix", "transitions"]


def split_names(values: Iterable[str] | None) -> tuple[str, ...]:
    """``--by a --by b`` and ``--by a,b`` alike."""
    return tuple(name.strip() for value in values or () for name in value.split(",") if name.strip())


def as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names given as a text, parted by commas, or as a list, whose names stay as they are."""
    return split_names([names]) if isinstance(names, str) else tuple(names)


def read_pair(text: str, said: str) -> tuple[str, str]:
    """``NAME=VALUE`` as name and value; UsageError, which begins with how the text was `said`, for any other shape."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{said} {text}: write it as NAME=VALUE")
    return name.strip(), value


def read_params(given: Iterable[str] | None, said: str = "--param") -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping; UsageError for any other shape or a name given twice."""
    found: dict[str, str] = {}
    for text in given or ():
        name, value = read_pair(text, said)
        if name in found:
            raise UsageError(f"{said} {name} is given twice")
        found[name] = value
    return found
