"""A day of real-derived meal orders, from raw files to the delivery pack's metrics.

    python examples/mdrp.py FOLDER

FOLDER holds one instance of the Meal Delivery Routing Problem (orders.txt, restaurants.txt, couriers.txt,
instance_parameters.txt; github.com/grubhub/mdrplib has 240). A plain first-come dispatcher delivers its
orders one by one; the result goes through ingest and build like any other data.
"""

from __future__ import annotations

import sys

import prodsense as ps
from prodsense.packs.delivery.mdrp import dispatch_first_come, measures, read_instance, to_tables

METRICS = (
    "total_order_volume", "order_fulfillment_rate", "click_to_door", "ready_to_pickup", "on_time_rate",
    "driver_utilization_rate", "deliveries_per_hour", "mileage_per_delivery", "driver_earnings_per_hour",
)  # fmt: skip


def main(folder: str) -> None:
    instance = read_instance(folder)
    schedule = dispatch_first_come(instance)
    delivered = int(schedule.delivered.sum())
    print(
        f"{instance.name}: {len(instance.orders):,} orders, {len(instance.restaurants):,} restaurants, "
        f"{len(instance.couriers):,} couriers; {delivered:,} delivered, {len(instance.orders) - delivered:,} not"
    )
    with ps.open(":memory:") as wh:
        print(wh.ingest(to_tables(instance, schedule), pack="delivery"))
        wh.build("delivery")
        answer = wh.metric(*(f"delivery.{name}" for name in METRICS)).arrow.to_pylist()[0]
    print("\nMetrics of the delivery pack:")
    for name in METRICS:
        print(f"  {name:<26} {answer[name]:10.3f}")
    print("\nThe benchmark's own figures (utilisation: driving and service only, mean over couriers):")
    for name, value in measures(instance, schedule).items():
        print(f"  {name:<26} {value:10.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/mdrp.py FOLDER   (a folder with orders.txt, couriers.txt, ...)")
    try:
        main(sys.argv[1])
    except ps.ProdsenseError as error:
        sys.exit(f"mdrp: {error.message}")
