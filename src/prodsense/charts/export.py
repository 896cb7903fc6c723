"""Charts to files: PNG, SVG, PDF, HTML and the spec itself, with neither browser nor network."""

from __future__ import annotations

import copy
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prodsense.charts.grids import cells_fit
from prodsense.charts.parts import legend_columns
from prodsense.charts.rows import clean_text
from prodsense.charts.theme import Mode, recolor
from prodsense.errors import UsageError

#: Endings that `save` knows.
FORMATS = (".png", ".svg", ".pdf", ".html", ".json")

#: A phone's and a desktop's picture in a page, in pixels.
NARROW = 340


def save(chart: Any, path: str | Path, *, theme: Mode = "light", scale: float = 2.0) -> Path:
    """Write a chart (or a Vega-Lite spec) in the format of the path's ending, and return the path.

    ``.png`` has `scale` pixels a point, ``.html`` is one self-contained page, ``.json`` the Vega-Lite spec.
    Raises `UsageError` for another ending or a folder that does not exist.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise UsageError(f"A chart is written as {', '.join(FORMATS)}, not {target.suffix or 'without an ending'!r}.")
    if not target.parent.is_dir():
        raise UsageError(f"The folder {str(target.parent)!r} does not exist: make it first.")
    writers: dict[str, Callable[[], bytes]] = {
        ".png": lambda: svg_to_png(to_svg(chart, theme=theme), scale),
        ".svg": lambda: to_svg(chart, theme=theme).encode(),
        ".pdf": lambda: svg_to_pdf(to_svg(chart, theme=theme)),
        ".html": lambda: _html(chart, theme).encode(),
        ".json": lambda: json.dumps(to_spec(chart, theme=theme), indent=2, ensure_ascii=False).encode(),
    }
    target.write_bytes(writers[target.suffix.lower()]())
    return target


def to_spec(chart: Any, *, width: float | None = None, theme: Mode = "light") -> dict[str, Any]:
    """The Vega-Lite spec of a chart as a dict, refitted to `width` pixels, in a theme's colours."""
    spec = copy.deepcopy(chart) if isinstance(chart, dict) else chart.to_dict()
    if width is not None:
        resize(spec, width)
    return dict(recolor(_clean(spec), theme))


def _clean(node: Any) -> Any:
    """The same spec with text that every format can hold, in names of fields too."""
    if isinstance(node, str):
        return clean_text(node)
    if isinstance(node, dict):
        return {clean_text(str(k)): _clean(v) for k, v in node.items()}
    return [_clean(v) for v in node] if isinstance(node, list | tuple) else node


def notes_of(spec: dict[str, Any]) -> list[str]:
    """What a chart says about itself (cuts, incomplete periods), to be set as text beside it."""
    return list(spec.get("usermeta", {}).get("prodsense", {}).get("notes", []))


def to_svg(chart: Any, *, width: float | None = None, theme: Mode = "light") -> str:
    """A chart as SVG text."""
    import vl_convert

    spec = to_spec(chart, width=width, theme=theme)
    # No data is ever fetched: specs carry their own, and a foreign one must not reach out.
    svg = vl_convert.vegalite_to_svg(spec, vl_version=_vega_lite(spec), allowed_base_urls=[])
    if width is not None and _is_compound(spec):
        # Concatenated views are not fitted by Vega-Lite: measure, then give the views what is left.
        excess = svg_size(svg)[0] - width
        if abs(excess) > 1:
            _widen(spec, -excess)
            svg = vl_convert.vegalite_to_svg(spec, vl_version=_vega_lite(spec), allowed_base_urls=[])
    return svg


def svg_to_png(svg: str, scale: float = 2.0) -> bytes:
    import vl_convert

    return bytes(vl_convert.svg_to_png(svg, scale=scale))


def svg_to_pdf(svg: str) -> bytes:
    import vl_convert

    return bytes(vl_convert.svg_to_pdf(svg))


def svg_size(svg: str) -> tuple[float, float]:
    """Width and height that an SVG states."""
    found = re.search(r'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"', svg)
    if not found:
        raise UsageError("That is no SVG with a width and a height.")
    return float(found[1]), float(found[2])


def resize(spec: dict[str, Any], width: float) -> None:
    """Refit a spec to a width, in place: legends in fewer columns, cell numbers only where they fit."""
    if "width" in spec and not _is_compound(spec):
        spec["width"] = width
    spec["padding"] = {"left": 2, "right": 8, "top": 6, "bottom": 2}
    layers = spec.get("layer")
    if layers:
        kept = []
        for layer in layers:
            cell = re.match(r"cell-text-(\d+)-(\d+)-", str(layer.get("name", "")))
            if cell is None or cells_fit(int(cell[1]), int(cell[2]), width):
                kept.append(layer)
        spec["layer"] = kept
    if width < 480:
        spec.setdefault("config", {}).setdefault("axis", {})["labelLimit"] = 110
    _refit(spec, width)
    if _is_compound(spec):
        views = spec.get("hconcat") or spec.get("vconcat") or []
        for view in views:
            if "width" in view and "vconcat" in spec:
                view["width"] = width - 60
        if "hconcat" in spec and sum(v.get("width", 0) for v in views) > width:
            spec["vconcat"] = spec.pop("hconcat")


def _refit(node: Any, width: float) -> None:
    if isinstance(node, dict):
        key = node.get("legend")
        names = (node.get("scale") or {}).get("domain") if isinstance(node.get("scale"), dict) else None
        if isinstance(key, dict) and "columns" in key and isinstance(names, list):
            key["columns"] = legend_columns([str(n) for n in names], width)
        axis = node.get("axis")
        if width < 480 and isinstance(axis, dict) and axis.get("labelLimit", 0) > 120:
            axis["labelLimit"] = 120
        if width < 480 and isinstance(axis, dict) and axis.get("tickCount", 0) > 5:
            axis["tickCount"] = 4
        if width < 480 and isinstance(axis, dict) and len(axis.get("values") or []) > 5:
            axis["values"] = axis["values"][::2]
        if width < 480 and isinstance(key, dict) and key.get("gradientLength", 0) > 160:
            key["gradientLength"] = 160
        for name, child in node.items():
            if name not in ("data", "datasets"):
                _refit(child, width)
    elif isinstance(node, list):
        for child in node:
            _refit(child, width)


def _is_compound(spec: dict[str, Any]) -> bool:
    return any(k in spec for k in ("hconcat", "vconcat", "concat", "facet", "repeat"))


def _widen(spec: dict[str, Any], by: float) -> None:
    for view in spec.get("vconcat", []):
        if isinstance(view.get("width"), int | float):
            view["width"] = max(120, view["width"] + by)


def _vega_lite(spec: dict[str, Any]) -> str | None:
    """The Vega-Lite version that the spec was written for, where the converter has it."""
    import vl_convert

    found = re.search(r"vega-lite/v(\d+)(?:\.(\d+))?", str(spec.get("$schema", "")))
    if not found:
        return None
    known = vl_convert.get_vegalite_versions()
    exact = f"{found[1]}.{found[2]}"
    if exact in known:
        return exact
    same = [v for v in known if v.split(".")[0] == found[1]]
    return max(same, key=lambda v: int(v.split(".")[1])) if same else None


# Vega names clip paths and gradients clip0, gradient_0 in every SVG; several in one document would share them.
_IDS = re.compile(r'\bid="([^"]+)"|url\(#([^)"]+)\)|(xlink:href|href)="#([^"]+)"')

_MARK = re.compile(
    r'<(path|rect|line|text|circle)((?: [\w:-]+="[^"]*")*? aria-label="([^"]*)"(?: [\w:-]+="[^"]*")*?)\s*/>'
)


def inline_svg(svg: str, prefix: str, description: str = "") -> str:
    """An SVG made fit to stand inside a page: own ids, scalable, with native tooltips and alt text.

    Marks that carry a text get a ``<title>`` child, which browsers show on hover without any script.
    The marks are hidden from screen readers, which get the description and the table beside it.
    """

    def own(found: re.Match[str]) -> str:
        if found[1]:
            return f'id="{prefix}{found[1]}"'
        if found[2]:
            return f"url(#{prefix}{found[2]})"
        return f'{found[3]}="#{prefix}{found[4]}"'

    def tip(found: re.Match[str]) -> str:
        attributes = re.sub(r' (aria-[\w-]+|role)="[^"]*"', "", found[2])
        return f"<{found[1]}{attributes}><title>{found[3]}</title></{found[1]}>"

    body = _IDS.sub(own, svg)
    body = _MARK.sub(tip, body)
    body = re.sub(r' (aria-[\w-]+|role)="[^"]*"', "", body)
    body = re.sub(r' font-family="[^"]*"', "", body)
    width, height = svg_size(svg)
    label = html.escape(clean_text(description), quote=True)
    head = (
        f'<svg class="picture" role="img" aria-label="{label}" viewBox="0 0 {width:g} {height:g}" '
        f'style="max-width:{width:g}px">'
    )
    return re.sub(r"<svg[^>]*>", lambda _: head, body, count=1)


def _html(chart: Any, theme: Mode) -> str:
    from prodsense.charts.page import ChartView, Page, SectionView, render_page

    spec = to_spec(chart)
    title = _title_of(spec)
    view = ChartView(title="", says="", chart=spec)
    return render_page(Page(title=title or "Chart", sections=(SectionView(title="", charts=(view,)),)), theme=theme)


def _title_of(spec: dict[str, Any]) -> str:
    title = spec.get("title", "")
    return str(title.get("text", "")) if isinstance(title, dict) else str(title)
