"""One light and one dark theme, as Vega-Lite config and as CSS variables.

A chart is always built with the light theme's colours; `recolor` turns a finished spec into the dark
one, and the CSS of `css_picture_rules` does the same to an inline SVG without drawing it again. Both
rest on one rule, kept by a test: no two roles of a theme share a colour.

The eight series colours were searched (OKLab, Machado's 2009 matrices) so that the nearest pair stays
as far apart as possible for normal, protan, deutan and tritan sight, each at least 3:1 on its ground;
the worst pair of Okabe and Ito's set is nearer. Text is at least 4.5:1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

Mode = Literal["light", "dark"]

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
#: In charts: fonts with the widths that labels are laid out by when a chart is rendered without a browser.
PICTURE_FONT = '"Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif'
MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace'


@dataclass(frozen=True)
class Theme:
    """Colours by role, as ``#rrggbb``. `ramp` runs from little to much, `diverging` from below to above.

    On the steps `FLIPPED` of `ramp` (`FLIPPED_DIVERGING` of `diverging`) text is written in `on_strong`,
    on the others in `on_weak`.
    """

    page: str
    surface: str
    ink: str
    muted: str
    axis: str
    grid: str
    previous: str
    ghost: str
    good: str
    bad: str
    warn: str
    on_weak: str
    on_strong: str
    series: tuple[str, ...]
    ramp: tuple[str, ...]
    diverging: tuple[str, ...]

    def roles(self) -> dict[str, str]:
        """Every colour by its role: ``ink``, ``series-1``, ``ramp-9`` and so on."""
        found: dict[str, str] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, tuple):
                found.update({f"{each.name}-{i}": colour for i, colour in enumerate(value, start=1)})
            else:
                found[each.name.replace("_", "-")] = value
        return found


FLIPPED = frozenset({5, 6, 7, 8})
FLIPPED_DIVERGING = frozenset({0, 8})

LIGHT = Theme(
    page="#f5f6f8",
    surface="#ffffff",
    ink="#1b2430",
    muted="#566170",
    axis="#b4bcc6",
    grid="#e6e9ed",
    previous="#7b8794",
    ghost="#dde2e8",
    good="#0b6e4f",
    bad="#b3261e",
    warn="#8a5300",
    on_weak="#1b2431",
    on_strong="#fefefe",
    series=("#3c5fae", "#ec6d14", "#009189", "#972f55", "#179edd", "#5a3300", "#45397b", "#8c9b60"),
    ramp=("#e6f5fe", "#bfe4fb", "#9bd1f4", "#77bdee", "#57a8e5", "#1d76b8", "#1663a3", "#104e89", "#0f3868"),
    diverging=(
        *("#934404", "#d5895e", "#e9af90", "#f4d3c1", "#f0f3f6"),
        *("#c5def8", "#97c2f0", "#67a3e0", "#0c60a3"),
    ),
)

DARK = Theme(
    page="#14181f",
    surface="#1b212b",
    ink="#e8edf3",
    muted="#a3afbd",
    axis="#56616f",
    grid="#2b333f",
    previous="#8d99a7",
    ghost="#343d4a",
    good="#6fd3a5",
    bad="#ff9c8f",
    warn="#f0b95a",
    on_weak="#ffffff",
    on_strong="#0b0f14",
    series=("#7597df", "#fe963e", "#2bd7ba", "#d34181", "#b2ecfe", "#9f6512", "#8157c5", "#f5d860"),
    ramp=("#1d2b44", "#1e395f", "#1b4979", "#135a90", "#036ca4", "#3d99cc", "#60b3dc", "#88cce9", "#bbe6f6"),
    diverging=(
        *("#fca676", "#9d5c36", "#7a4b30", "#563b2c", "#2c2e30"),
        *("#30445a", "#365b80", "#3d72a6", "#8bc3fd"),
    ),
)

THEMES: dict[str, Theme] = {"light": LIGHT, "dark": DARK}


def vega_config(theme: Theme = LIGHT) -> dict[str, Any]:
    """The Vega-Lite ``config`` of a theme."""
    title = {"color": theme.ink, "subtitleColor": theme.muted, "fontSize": 15, "subtitleFontSize": 12}
    return {
        "background": theme.surface,
        "font": PICTURE_FONT,
        "padding": {"left": 4, "right": 12, "top": 8, "bottom": 4},
        "view": {"stroke": None},
        "title": title | {"anchor": "start", "fontWeight": 600, "subtitlePadding": 4, "offset": 12, "frame": "bounds"},
        "axis": {
            "labelColor": theme.muted,
            "titleColor": theme.muted,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "gridColor": theme.grid,
            "domainColor": theme.axis,
            "tickColor": theme.axis,
            "labelPadding": 6,
            "tickSize": 4,
        },
        "axisX": {"grid": False, "titlePadding": 8},
        # The title of a vertical axis lies flat over its top: nobody reads sideways.
        "axisQuantitative": {"domain": False, "ticks": False, "tickCount": 5},
        "axisY": {
            "titleAngle": 0,
            "titleAlign": "left",
            "titleAnchor": "end",
            "titleX": 0,
            "titleY": -10,
            "titleBaseline": "bottom",
        },
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "titleColor": theme.muted,
            "titleFontWeight": "normal",
            "labelColor": theme.ink,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "labelLimit": 180,
            "symbolStrokeWidth": 2.5,
            "offset": 14,
            "rowPadding": 4,
            "columnPadding": 14,
            "gradientThickness": 10,
            "labelSeparation": 8,
        },
        "line": {"strokeWidth": 2, "strokeJoin": "round", "strokeCap": "round"},
        "bar": {"color": theme.series[0]},
        "text": {"fontSize": 11, "color": theme.ink},
        "range": {
            "category": list(theme.series),
            "ramp": list(theme.ramp),
            "heatmap": list(theme.ramp),
            "diverging": list(theme.diverging),
        },
    }


def recolor(spec: Any, mode: Mode) -> Any:
    """A copy of a Vega-Lite spec built with the light theme, in the colours of `mode`; data is left alone."""
    if mode == "light":
        return spec
    swap = dict(zip(LIGHT.roles().values(), THEMES[mode].roles().values(), strict=True))

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {k: v if k in ("data", "datasets") else walk(v) for k, v in node.items()}
        if isinstance(node, list):
            return [walk(v) for v in node]
        return swap.get(node, node) if isinstance(node, str) else node

    return walk(spec)


def css_variables(theme: Theme) -> str:
    """The theme as CSS declarations: ``--ink: #1b2430; --series-1: …``."""
    return " ".join(f"--{role}: {colour};" for role, colour in theme.roles().items())


def css_picture_rules(selector: str = ".picture") -> str:
    """CSS that hands the colours of an inline SVG (drawn with the light theme) over to the CSS variables."""
    rules = []
    for role, colour in LIGHT.roles().items():
        rules += [f'{selector} [{at}="{colour}"]{{{at}:var(--{role})}}' for at in ("fill", "stroke")]
    return "\n".join(rules)
