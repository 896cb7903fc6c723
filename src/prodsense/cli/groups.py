"""Groups of options: what several commands take together is declared once, and its use written beside it.

    @dataclass(frozen=True, kw_only=True)
    class Window(Group):
        since: SinceOption = None
        until: UntilOption = None

    app = commands()

    @app.command()
    def metric(names: NamesArgument, *, window: Window, output: Output) -> None:
        output.answer(lambda wh: wh.metric(*names, **vars(window)))

The command line shows the fields in the place of the group. Of a group that extends others its own fields come first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, get_annotations, signature
from typing import Any, TypeVar, get_type_hints

import typer

F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True, kw_only=True)
class Group:
    """A frozen dataclass (keywords only) whose fields are options or arguments of the command that takes it."""


class Commands(typer.Typer):
    """Commands whose parameters may be groups."""

    def command(self, *names: Any, **settings: Any) -> Callable[[F], F]:
        add = super().command(*names, **settings)

        def declare(function: F) -> F:
            add(spread(function))
            return function

        return declare


def spread(function: Callable[..., None]) -> Callable[..., None]:
    """`function` with the fields of its groups for parameters, all by keyword; ValueError where two share a name."""
    hints = get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Group)}
    params: list[Parameter] = []
    for name, param in signature(function).parameters.items():
        if name in groups:
            params += _members(groups[name])
        else:
            params.append(param.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))

    @wraps(function)
    def run(**given: Any) -> None:
        packed = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        function(**given, **packed)

    vars(run)["__signature__"] = Signature(params)
    run.__annotations__ = {param.name: param.annotation for param in params}
    return run


def _members(group: type[Group]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    defaults = {field.name: Parameter.empty if field.default is MISSING else field.default for field in fields(group)}
    named = dict.fromkeys(name for kind in group.__mro__ for name in get_annotations(kind))
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name])
        for name in named if name in defaults
    ]
