"""Meal Delivery Routing Problem instances, read from their files; `dispatch` delivers them.

The format is that of Reyes, Erera, Savelsbergh, Sahasrabudhe and O'Neil, "The Meal Delivery Routing Problem" (2018):
positions in metres, times in whole minutes from the start of the day. Its rules are those of `dispatch.world`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prodsense.errors import ContractError
from prodsense.simulate.geography import Projection

#: Where the instance's metre (0, 0) is put: its positions are anonymous, so any origin does.
ORIGIN = Projection(lat=40.0, lng=-75.0)

_FILES = {
    "orders": ("order", "x", "y", "placement_time", "restaurant", "ready_time"),
    "restaurants": ("restaurant", "x", "y"),
    "couriers": ("courier", "x", "y", "on_time", "off_time"),
    "instance_parameters": (
        "meters_per_minute", "pickup service minutes", "dropoff service minutes", "target click-to-door",
        "maximum click-to-door", "pay per order", "guaranteed pay per hour",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """One day of one city. Positions in metres, shape (n, 2); times in minutes of the day.

    `orders`, `restaurants`, `couriers` are names in file order; `order_restaurant` indexes the second.
    """

    name: str
    orders: tuple[str, ...]
    order_at: NDArray
    placed: NDArray
    ready: NDArray
    order_restaurant: NDArray
    restaurants: tuple[str, ...]
    restaurant_at: NDArray
    couriers: tuple[str, ...]
    courier_at: NDArray
    on_time: NDArray
    off_time: NDArray
    metres_per_minute: float
    pickup_service: float
    dropoff_service: float
    target_click_to_door: float
    pay_per_order: float
    guaranteed_pay_per_hour: float


def read_instance(folder: str | Path) -> Instance:
    """Read the four tab-separated files of an instance.

    Raises:
        ContractError: a file or column is missing, a number is none, or an order names no restaurant.
    """
    place = Path(folder)
    orders, restaurants, couriers, parameters = (_read(place / f"{name}.txt", _FILES[name]) for name in _FILES)
    index = {name: i for i, name in enumerate(restaurants["restaurant"])}
    if lost := [name for name in orders["restaurant"] if name not in index]:
        raise ContractError(f"{place / 'orders.txt'}: restaurant {lost[0]} is not in restaurants.txt")

    def at(table: dict[str, list[str]], path: str) -> NDArray:
        return np.column_stack([_numbers(table[c], place / path, c) for c in ("x", "y")])

    def moments(table: dict[str, list[str]], path: str, column: str) -> NDArray:
        return _numbers(table[column], place / path, column)

    (mpm, pickup, dropoff, target, _, pay, pay_hour) = (
        float(moments(parameters, "instance_parameters.txt", c)[0]) for c in _FILES["instance_parameters"]
    )
    return Instance(
        name=place.name,
        orders=tuple(orders["order"]),
        order_at=at(orders, "orders.txt"),
        placed=moments(orders, "orders.txt", "placement_time"),
        ready=moments(orders, "orders.txt", "ready_time"),
        order_restaurant=np.array([index[name] for name in orders["restaurant"]], np.int64),
        restaurants=tuple(restaurants["restaurant"]),
        restaurant_at=at(restaurants, "restaurants.txt"),
        couriers=tuple(couriers["courier"]),
        courier_at=at(couriers, "couriers.txt"),
        on_time=moments(couriers, "couriers.txt", "on_time"),
        off_time=moments(couriers, "couriers.txt", "off_time"),
        metres_per_minute=mpm,
        pickup_service=pickup,
        dropoff_service=dropoff,
        target_click_to_door=target,
        pay_per_order=pay,
        guaranteed_pay_per_hour=pay_hour,
    )


def whole_numbers(names: tuple[str, ...], what: str) -> NDArray:
    """The numbers in names such as ``o17``; they must be there and unlike each other."""
    found = [re.fullmatch(r"\D*(\d+)", name) for name in names]
    numbers = [int(match.group(1)) for match in found if match]
    if len(numbers) < len(names) or len(set(numbers)) < len(numbers):
        raise ContractError(f"each {what} needs a name that ends in a number of its own, such as {what[0]}1")
    return np.array(numbers, np.int64)


def _read(path: Path, columns: tuple[str, ...]) -> dict[str, list[str]]:
    if not path.is_file():
        raise ContractError(f"{path} is missing: an instance is a folder with {', '.join(f'{f}.txt' for f in _FILES)}")
    lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    header = [name.strip() for name in lines[0]] if lines else []
    if lost := [name for name in columns if name not in header]:
        raise ContractError(f"{path} has no column {', '.join(lost)}; its header must name {', '.join(columns)}")
    if len(lines) < 2:
        raise ContractError(f"{path} holds no row below its header")
    if ragged := next((i for i, line in enumerate(lines, 1) if len(line) < len(header)), 0):
        raise ContractError(f"{path}:{ragged}: fewer cells than the header has")
    return {name: [line[header.index(name)].strip() for line in lines[1:]] for name in columns}


def _numbers(cells: list[str], path: Path, column: str) -> NDArray:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise ContractError(f"{path}: column {column} holds something that is no number ({error})") from None

