"""Pages out of templates, and the files that they load."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from prodsense.web.security import COOKIE, Sessions, actor, session_of, site

if TYPE_CHECKING:
    from jinja2 import Environment

#: Made out of the installed vl-convert: Vega, Vega-Lite and vega-embed as one script.
BUNDLE = "vega.js"


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page out of ``templates/<template>``.

    Every template also has ``request``, ``site``, ``actor``, ``csrf`` (the token for its forms), ``may(permission)``
    and ``static(name)`` (the address of a file in ``static/``).
    """
    sessions: Sessions = request.app.state.sessions
    who = actor(request)
    session = session_of(request)
    fresh = None
    if "n" not in session:
        fresh = sessions.new()
        session = request.state.session = sessions.read(fresh)
    text = environment().get_template(template).render(
        request=request, site=site(request), actor=who, csrf=sessions.csrf(session), may=who.may, static=static_url,
        **context,
    )
    answer = HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})
    if fresh is not None:
        give_cookie(request, answer, fresh)
    return answer


def give_cookie(request: Request, answer: Any, value: str) -> None:
    """Hand the session's cookie to the browser."""
    secure = site(request).settings.secure or request.url.scheme == "https"
    sessions: Sessions = request.app.state.sessions
    answer.set_cookie(
        COOKIE, value, max_age=int(sessions.seconds), httponly=True, secure=secure, samesite="lax", path="/"
    )


@cache
def environment() -> Environment:
    """Where templates come from; whatever they show is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from prodsense.charts.parts import spoken
    from prodsense.charts.units import format_value

    found = Environment(
        loader=PackageLoader("prodsense.web", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    found.filters["spoken"] = spoken
    found.filters["value"] = format_value
    # A fact beside rows, whatever it is.
    found.filters["fact"] = lambda value: "–" if value is None else format_value(value)
    return found


# -- static files ------------------------------------------------------------------------------------


@cache
def _names() -> dict[str, Path]:
    """The files of ``static/`` by their name from there."""
    folder = Path(str(files("prodsense.web") / "static"))
    return {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}


def _made() -> dict[str, Callable[[], str]]:
    """The static files that are made, not kept: the palette of `prodsense.charts`, and Vega's bundle."""
    from prodsense.charts.theme import DARK, LIGHT, css_variables

    def theme() -> str:
        light, dark = css_variables(LIGHT), css_variables(DARK)
        return (
            f":root {{ color-scheme: light; {light} }}\n"
            f'@media screen and (prefers-color-scheme: dark) {{ :root:not([data-theme="light"])'
            f" {{ color-scheme: dark; {dark} }} }}\n"
            f'@media screen {{ :root[data-theme="dark"] {{ color-scheme: dark; {dark} }} }}\n'
        )

    def palette() -> str:
        """Light colour → dark colour, by which a script turns a chart's spec dark."""
        return json.dumps(dict(zip(LIGHT.roles().values(), DARK.roles().values(), strict=True)))

    def bundle() -> str:
        import vl_convert

        newest = max(vl_convert.get_vegalite_versions(), key=_parts)
        return str(vl_convert.javascript_bundle(vl_version=newest))  # type: ignore[call-arg]

    return {"theme.css": theme, "palette.json": palette, BUNDLE: bundle}


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@lru_cache(maxsize=256)
def static_file(name: str) -> tuple[bytes, str, str] | None:
    """Bytes, type and version of a file; None when there is none of that name."""
    if name in _made():
        content = _made()[name]().encode()
    elif name in _names():
        content = _names()[name].read_bytes()
    else:
        return None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return content, "text/javascript" if name.endswith(".js") else kind, static_version(name, content)


def static_version(name: str, content: bytes) -> str:
    """What stands for a file's content in its address."""
    if name == BUNDLE:
        # Making it takes seconds: a page that names it must not wait for it.
        from importlib.metadata import version

        content = version("vl-convert-python").encode()
    return hashlib.sha256(content).hexdigest()[:12]


def static_url(name: str) -> str:
    """The address of a static file: it changes with the file, so that browsers keep it for good."""
    if name == BUNDLE:
        return f"/static/{static_version(name, b'')}/{name}"
    found = static_file(name)
    if found is None:
        raise LookupError(f"no static file named {name}")
    return f"/static/{found[2]}/{name}"


def get_ready() -> None:
    """Load and make what the first page would wait for; runs beside the server while nobody waits yet."""
    from importlib import import_module

    for name in (
        "altair", "prodsense.build", "prodsense.charts.dashboards", "prodsense.inference.detect_queue",
        "prodsense.metrics.compiler", "prodsense.metrics.query",
    ):  # fmt: skip
        import_module(name)
    static_file(BUNDLE)
