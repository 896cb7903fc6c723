"""A flat-earth city: positions in miles east and north of an origin, and as latitude and longitude.

The projection is equirectangular around the origin: one degree of latitude is a constant number of
miles, one degree of longitude that times the cosine of the origin's latitude. Within a city (tens of
miles) the error against the sphere is below 0.1 %, far less than a street detour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Metres in a mile (international).
METRES_PER_MILE = 1609.344
#: Miles in a degree of latitude on a sphere of the earth's mean radius, 6,371.0088 km.
MILES_PER_DEGREE = 2 * np.pi * 6371.0088 * 1000 / METRES_PER_MILE / 360


@dataclass(frozen=True)
class Projection:
    """Miles east and north of (`lat`, `lng`) to degrees and back."""

    lat: float
    lng: float

    def degrees(self, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        """Return (latitude, longitude) of points `x` miles east and `y` miles north of the origin."""
        lat = self.lat + np.asarray(y) / MILES_PER_DEGREE
        lng = self.lng + np.asarray(x) / (MILES_PER_DEGREE * np.cos(np.radians(self.lat)))
        return lat, lng

    def miles(self, lat: NDArray, lng: NDArray) -> tuple[NDArray, NDArray]:
        """Return (x, y) miles east and north of the origin; the inverse of `degrees`."""
        y = (np.asarray(lat) - self.lat) * MILES_PER_DEGREE
        x = (np.asarray(lng) - self.lng) * (MILES_PER_DEGREE * np.cos(np.radians(self.lat)))
        return x, y


def ring(zones: int, radius: float) -> NDArray:
    """Centres of `zones` zones, shape (zones, 2) in miles: one in the middle, the rest on a circle."""
    angle = 2 * np.pi * np.arange(max(zones - 1, 1)) / max(zones - 1, 1)
    outer = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    return np.vstack([[0.0, 0.0], outer])[:zones]


def scatter(rng: np.random.Generator, centres: NDArray, zone: NDArray, spread: float) -> NDArray:
    """Points around the centres of their zones, shape (n, 2) in miles, normal with sd `spread`.

    Draws are cut at two sd, so that zones stay apart.
    """
    noise = np.clip(rng.normal(size=(zone.size, 2)), -2.0, 2.0)
    return centres[zone] + spread * noise


def miles_between(a: NDArray, b: NDArray) -> NDArray:
    """Straight-line miles between points of shape (..., 2)."""
    return np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])


def around(rng: np.random.Generator, points: NDArray, distance: NDArray) -> NDArray:
    """A point at exactly `distance` miles from each of `points`, in a random direction."""
    angle = rng.random(distance.size) * 2 * np.pi
    return points + distance[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
