"""Colours: legible, apart for every kind of sight, and exchangeable between light and dark."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from prodsense.charts.theme import (
    DARK,
    FLIPPED,
    FLIPPED_DIVERGING,
    LIGHT,
    Theme,
    css_picture_rules,
    css_variables,
    recolor,
    vega_config,
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#000000")


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast ratio."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return lab @ np.cbrt(np.clip(lms @ rgb, 0, None))


def nearest_pair(colours: tuple[str, ...]) -> float:
    """The least distance of two colours over all kinds of sight, in OKLab."""
    seen = {k: [oklab(np.clip(np.array(m) @ linear(c), 0, 1)) for c in colours] for k, m in SIGHTS.items()}
    return min(float(np.linalg.norm(a - b)) for labs in seen.values() for a, b in combinations(labs, 2))


def test_the_contrast_oracle_knows_its_ends() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_legible(theme: Theme) -> None:
    for ground in (theme.page, theme.surface):
        for role in ("ink", "muted", "good", "bad", "warn"):
            assert contrast(getattr(theme, role), ground) >= 4.5, (role, ground)
        assert contrast(theme.series[0], ground) >= 4.5, "links"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_numbers_in_cells_are_legible(theme: Theme) -> None:
    for colours, flipped in ((theme.ramp, FLIPPED), (theme.diverging, FLIPPED_DIVERGING)):
        for step, colour in enumerate(colours):
            text = theme.on_strong if step in flipped else theme.on_weak
            assert contrast(text, colour) >= 4.5, (step, colour)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_series_are_told_apart_by_every_sight(theme: Theme) -> None:
    assert nearest_pair(theme.series) > nearest_pair(OKABE_ITO)
    assert all(contrast(colour, theme.surface) >= 2.95 for colour in theme.series)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_ramps_run_one_way(theme: Theme) -> None:
    lightness = [float(oklab(linear(c))[0]) for c in theme.ramp]
    steps = np.diff(lightness)
    assert (steps < 0).all() if theme is LIGHT else (steps > 0).all()


def test_no_two_roles_share_a_colour() -> None:
    for theme in (LIGHT, DARK):
        colours = list(theme.roles().values())
        assert len(set(colours)) == len(colours)


def test_recolor_swaps_colours_and_leaves_data_alone() -> None:
    spec = {"mark": {"color": LIGHT.ink}, "config": vega_config(LIGHT), "data": {"values": [{"c": LIGHT.ink}]}}
    dark = recolor(spec, "dark")
    assert dark["mark"]["color"] == DARK.ink
    assert dark["config"] == vega_config(DARK)
    assert dark["data"]["values"] == [{"c": LIGHT.ink}]
    assert recolor(spec, "light") == spec


def test_css_has_a_variable_and_two_rules_for_each_role() -> None:
    assert f"--ink: {LIGHT.ink};" in css_variables(LIGHT)
    rules = css_picture_rules(".p")
    assert f'.p [fill="{LIGHT.series[2]}"]{{fill:var(--series-3)}}' in rules
    assert f'.p [stroke="{LIGHT.grid}"]{{stroke:var(--grid)}}' in rules
