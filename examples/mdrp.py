"""A day of real-derived meal orders, from raw files to the delivery pack's metrics.

    python examples/mdrp.py FOLDER

FOLDER holds one instance of the Meal Delivery Routing Problem (orders.txt, restaurants.txt, couriers.txt,
instance_parameters.txt; github.com/grubhub/mdrplib has 240). The plainest dispatcher delivers its orders one
by one, first come first served; the result goes through ingest and build like any other data.
"""

from __future__ import annotations

import sys

import prodsense as ps
from prodsense.packs.delivery.dispatch import algorithm, from_instance, simulate
from prodsense.packs.delivery.dispatch.record import to_tables
from prodsense.packs.delivery.mdrp import read_instance

METRICS = (
    "total_order_volume", "order_fulfillment_rate", "click_to_door", "ready_to_pickup", "on_time_rate",
    "driver_utilization_rate", "deliveries_per_hour", "mileage_per_delivery", "driver_earnings_per_hour",
)  # fmt: skip


def main(folder: str) -> None:
    instance = read_instance(folder)
    run = simulate(from_instance(instance), algorithm("no_batching"))
    delivered = int((run.courier >= 0).sum())
    print(
        f"{instance.name}: {len(instance.orders):,} orders, {len(instance.restaurants):,} restaurants, "
        f"{len(instance.couriers):,} couriers; {delivered:,} delivered, {len(instance.orders) - delivered:,} not"
    )
    with ps.open(":memory:") as wh:
        print(wh.ingest(to_tables(run), pack="delivery"))
        wh.build("delivery")
        answer = wh.metric(*(f"delivery.{name}" for name in METRICS)).arrow.to_pylist()[0]
    print("\nMetrics of the delivery pack:")
    for name in METRICS:
        print(f"  {name:<26} {answer[name]:10.3f}")
    print("\nThe benchmark's own figures (shares 0 to 1; utilisation: driving and service only, mean over couriers):")
    for name, value in run.measures().items():
        if value is not None:
            print(f"  {name:<26} {value:10.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/mdrp.py FOLDER   (a folder with orders.txt, couriers.txt, ...)")
    try:
        main(sys.argv[1])
    except ps.ProdsenseError as error:
        sys.exit(f"mdrp: {error.message}")
