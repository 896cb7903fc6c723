"""What every delivery metric and query should say of the tiny city, in plain Python over its CSV files.

Shares no code with the package: loops over rows, brute force over seconds and days. The metrics themselves are in
`oracle_metrics`.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any

from oracle_kit import Row, ratio, read_tiny, total

# How the free words of the tiny files are meant, by hand.
ISSUES = {
    "cold_food": "cold_food", "Cold Food": "cold_food", "Food was cold": "cold_food", "cold food": "cold_food",
    "damaged packaging": "poor_condition", "wrong_item": "wrong_item", "missing item": "missing_item",
    "Missing order": "missing_order", "drivers_waiting": "drivers_waiting", "Drivers waiting": "drivers_waiting",
    "congestion": "congestion", "app_crash": "app_crash",
}
TOPICS = {
    "food_quality": "food", "overall_satisfaction": "overall", "": "overall", "batching_experience": "overall",
    "instruction_clarity": "clarity", "pay_fairness": "fairness", "multi_order_ease": "ease",
    "ease of handling several orders": "ease", "batched_pickup": "pickup",
}
FOOD = ("cold_food", "poor_condition")
WRONG = ("wrong_item", "missing_item", "missing_order")


def read(name: str) -> list[Row]:
    return [{key: cell(key, value) for key, value in row.items()} for row in read_tiny("delivery", name)]


def cell(key: str, text: str | None) -> Any:
    if text is None:
        return None
    if key.endswith(("_at", "_timestamp", "_time")) or key == "timestamp":
        return datetime.fromisoformat(text)
    if key == "date_partition":
        return date.fromisoformat(text)
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return {"true": True, "false": False}.get(text, text)


def minutes(a: datetime | None, b: datetime | None) -> float | None:
    return None if a is None or b is None else (b - a).total_seconds() / 60


def area(order: Row) -> str | None:
    if order["delivery_address_lat"] is None:
        return None
    # Hundredths are whole numbers: floor to even ones without trusting floats at the border.
    cells = []
    for key in ("delivery_address_lat", "delivery_address_lng"):
        micro = round(order[key] * 1_000_000)
        cells.append(f"{micro // 20_000 * 2 / 100:.2f}")
    return ",".join(cells)


class City:
    def __init__(self) -> None:
        self.customers = {r["customer_id"]: r for r in read("dim_customers")}
        self.drivers = {r["driver_id"]: r for r in read("dim_drivers")}
        self.restaurants = {r["restaurant_id"]: r for r in read("dim_restaurants")}
        self.algorithms = {r["batching_algorithm_key"]: r for r in read("dim_batching_algorithms")}
        self.all_orders = {r["order_id"]: r for r in read("fact_orders")}
        self.all_deliveries = {r["delivery_id"]: r for r in read("fact_deliveries")}
        self.all_batches = {r["batch_id"]: r for r in read("fact_delivery_batches")}
        self.places = read("fact_batch_deliveries")
        self.internal = {c for c, r in self.customers.items() if r["is_internal"]}
        for delivery in self.all_deliveries.values():
            self._enrich(delivery)
        for batch in self.all_batches.values():
            self._enrich_batch(batch)
        for order in self.all_orders.values():
            self._enrich_order(order)
        self.deliveries = [
            d for d in self.all_deliveries.values()
            if self.all_orders[d["order_id"]]["customer_id"] not in self.internal
        ]
        self.orders = [o for o in self.all_orders.values() if o["customer_id"] not in self.internal]
        self.batches = list(self.all_batches.values())
        self.time, self.gaps = self._driver_time(), self._gaps()

    # -- facts -------------------------------------------------------------------------------------

    def _final(self, delivery_id: int) -> tuple[Row | None, Row | None]:
        live = [
            (self.all_batches[p["batch_id"]], p) for p in self.places
            if p["delivery_id"] == delivery_id and self.all_batches[p["batch_id"]]["batch_status"] != "cancelled"
        ]
        if not live:
            return None, None
        return max(live, key=lambda pair: (pair[0]["batch_created_at"], pair[0]["batch_id"]))

    def _enrich(self, d: Row) -> None:
        order = self.all_orders[d["order_id"]]
        batch, place = self._final(d["delivery_id"])
        d["batch"], d["place"] = batch, place or {}
        batched = batch is not None and batch["total_deliveries"] >= 2
        algorithm = self.algorithms[batch["batching_algorithm_key"]] if batch else {}
        d.update(
            delivery_type="batched" if batched else "individual",
            batched=batched,
            delivered=d["delivery_status"] == "delivered",
            trip=("b", batch["batch_id"]) if batched else ("d", d["delivery_id"]),
            time_of_day=order["order_timestamp"].hour,
            day_of_week=order["order_timestamp"].isoweekday(),
            geography=area(order),
            restaurant=order["restaurant_id"],
            restaurant_type=self.restaurants[order["restaurant_id"]]["cuisine_type"],
            driver=d["driver_id"],
            vehicle_type=self.drivers[d["driver_id"]]["vehicle_type"] if d["driver_id"] else None,
            algorithm=algorithm.get("algorithm_name"),
            algorithm_version=algorithm.get("algorithm_version"),
        )
        actual, estimated = d["actual_delivery_time_minutes"], d["estimated_delivery_time_minutes"]
        known = actual is not None and estimated is not None
        d["error"] = actual - estimated if known else None
        d["on_time"] = actual <= estimated + 10 if known else None
        d["wait"] = minutes(d["driver_arrived_at_restaurant_at"], d["picked_up_at"])

    def miles(self, d: Row) -> float | None:
        if not d["batched"]:
            own = d["delivery_distance_miles"]
            return own if own is not None or not d["batch"] else d["batch"]["actual_total_distance_miles"]
        mates = [
            m for m in self.all_deliveries.values() if m["delivered"] and m["batched"] and m["trip"] == d["trip"]
        ]
        return ratio(d["batch"]["actual_total_distance_miles"], len(mates))

    def _enrich_batch(self, b: Row) -> None:
        members = sorted(
            (p for p in self.places if p["batch_id"] == b["batch_id"]), key=lambda p: p["dropoff_sequence"]
        )
        lead = self.all_deliveries[members[0]["delivery_id"]] if members else None
        algorithm = self.algorithms[b["batching_algorithm_key"]]
        b.update(
            members=members,
            done=b["batch_status"] == "completed",
            algorithm=algorithm["algorithm_name"],
            algorithm_version=algorithm["algorithm_version"],
            driver=b["driver_id"],
            vehicle_type=self.drivers[b["driver_id"]]["vehicle_type"] if b["driver_id"] else None,
            time_of_day=b["batch_created_at"].hour,
            day_of_week=b["batch_created_at"].isoweekday(),
            geography=lead and lead["geography"],
            restaurant_type=lead and lead["restaurant_type"],
        )
        pickups = [p["actual_pickup_time"] for p in members if p["actual_pickup_time"]]
        dropoffs = [p["actual_dropoff_time"] for p in members if p["actual_dropoff_time"]]
        b["route_minutes"] = minutes(min(pickups), max(dropoffs)) if pickups and dropoffs else None
        money = [b["total_delivery_fees_cents"], b["total_tips_cents"]]
        b["revenue"] = total(money)

    def _enrich_order(self, o: Row) -> None:
        tries = [d for d in self.all_deliveries.values() if d["order_id"] == o["order_id"]]
        live = [d for d in tries if d["delivery_status"] != "cancelled"]
        d = max(live or tries, key=lambda t: t["delivery_created_at"], default=None)
        o.update(
            delivery=d,
            delivered=o["order_status"] == "delivered",
            delivery_type=d and d["delivery_type"],
            time_of_day=o["order_timestamp"].hour,
            day_of_week=o["order_timestamp"].isoweekday(),
            geography=area(o),
            restaurant=o["restaurant_id"],
            restaurant_type=self.restaurants[o["restaurant_id"]]["cuisine_type"],
            long_eta=bool(o["order_status"] == "cancelled" and d and d["cancellation_reason"] == "long_eta"),
        )

    # -- drivers' time, second by second ------------------------------------------------------------

    def _sessions(self) -> list[Row]:
        return [s for s in read("driver_online_sessions") if s["offline_at"]]

    def _jobs(self, driver: int) -> list[Row]:
        return [d for d in self.all_deliveries.values() if d["driver_id"] == driver and d["delivered"]]

    def _driver_time(self) -> list[Row]:
        seconds: dict[tuple[int, datetime, str | None], int] = defaultdict(int)
        for driver in self.drivers:
            online: set[int] = set()
            base = datetime(2024, 1, 1)
            for s in self._sessions():
                if s["driver_id"] == driver:
                    start, end = ((s[k] - base).total_seconds() for k in ("online_at", "offline_at"))
                    online |= set(range(int(start), int(end)))
            jobs = [
                ((j["assigned_to_driver_at"] - base).total_seconds(), (j["delivered_at"] - base).total_seconds(),
                 j["delivery_type"]) for j in self._jobs(driver)
            ]
            for second in online:
                kinds = {kind for start, end, kind in jobs if start <= second < end}
                kind = "batched" if "batched" in kinds else "individual" if kinds else None
                hour = (base + timedelta(seconds=second)).replace(minute=0, second=0)
                seconds[driver, hour, kind] += 1
        return [
            {
                "driver": driver, "vehicle_type": self.drivers[driver]["vehicle_type"], "delivery_type": kind,
                "time_of_day": hour.hour, "day_of_week": hour.isoweekday(), "minutes": n / 60,
            }
            for (driver, hour, kind), n in seconds.items()
        ]

    def _gaps(self) -> list[Row]:
        found = []
        for driver in self.drivers:
            jobs = self._jobs(driver)
            offers = [o["offered_at"] for o in self.offers() if o["driver"] == driver]
            for end in {j["delivered_at"] for j in jobs}:
                if any(j["assigned_to_driver_at"] <= end < j["delivered_at"] for j in jobs):
                    continue
                following = [t for t in offers if t >= end]
                following += [j["assigned_to_driver_at"] for j in jobs if j["assigned_to_driver_at"] > end]
                spells = [
                    s for s in self._sessions()
                    if s["driver_id"] == driver and s["online_at"] <= end <= s["offline_at"]
                ]
                if not following or not spells:
                    continue
                # Overlapping sessions of the tiny city nest, so the latest end is when the driver goes offline.
                if min(following) <= max(s["offline_at"] for s in spells):
                    found.append({
                        "driver": driver, "vehicle_type": self.drivers[driver]["vehicle_type"],
                        "time_of_day": end.hour, "day_of_week": end.isoweekday(),
                        "idle": minutes(end, min(following)),
                    })
        return found

    def offers(self) -> list[Row]:
        rows = []
        for o in read("batch_offers"):
            batch = self.all_batches[o["batch_id"]]
            driver = o["driver_id"] or batch["driver_id"]
            rows.append({
                **{k: batch[k] for k in ("algorithm", "algorithm_version", "geography", "restaurant_type")},
                "driver": driver,
                "vehicle_type": self.drivers[driver]["vehicle_type"] if driver else None,
                "time_of_day": o["offered_at"].hour,
                "day_of_week": o["offered_at"].isoweekday(),
                "offered_at": o["offered_at"],
                "accepted": str(o["decision"]).lower() == "accepted",
            })
        return rows

    def earnings(self) -> list[Row]:
        rows = []
        for e in read("driver_earnings"):
            d = self.all_deliveries.get(e["delivery_id"])
            b = self.all_batches.get(e["batch_id"])
            driver = e["driver_id"] or (d or b)["driver_id"]
            kind = d["delivery_type"] if d else None
            if b:
                kind = "batched" if b["total_deliveries"] >= 2 and b["batch_status"] != "cancelled" else "individual"
            at = e["earned_at"] or (d["delivered_at"] if d else b["batch_completed_at"])
            rows.append({
                "driver": driver, "vehicle_type": self.drivers[driver]["vehicle_type"], "delivery_type": kind,
                "time_of_day": at.hour, "day_of_week": at.isoweekday(), "pay": e["amount_cents"] / 100,
            })
        return rows

    # -- customers and surveys ------------------------------------------------------------------------

    def reports(self) -> list[Row]:
        tickets = [{**t, "source": "complaint", "type": ISSUES[t["issue_type"]]} for t in read("support_tickets")]
        refunds = [{**r, "source": "refund", "type": ISSUES[r["reason"]]} for r in read("refund_requests")]
        return tickets + refunds

    def issues(self, types: tuple[str, ...], sources: tuple[str, ...] = ("complaint", "refund")) -> list[Row]:
        """Delivered orders beside each type."""
        told = {(r["order_id"], r["type"]) for r in self.reports() if r["source"] in sources}
        return [
            {**o, "issue_type": kind, "reported": (o["order_id"], kind) in told}
            for o in self.orders if o["delivered"] for kind in types
        ]

    def pickups(self) -> list[Row]:
        """Visits of batches beside each type of problem; the ticket of restaurant 21 at 12:15 is near batch 7."""
        visits = {
            (d["batch"]["batch_id"], d["place"]["pickup_sequence"]): d
            for d in sorted(self.all_deliveries.values(), key=lambda d: -d["delivery_id"])
            if d["batched"] and d["picked_up_at"]
        }
        told = {(1, 1, "drivers_waiting"), (5, 2, "congestion"), (7, 1, "drivers_waiting")}
        rows = []
        for (batch, sequence), d in visits.items():
            b = self.all_batches[batch]
            slices = {
                **{k: b[k] for k in ("algorithm", "algorithm_version", "driver", "vehicle_type", "time_of_day",
                                     "day_of_week")},
                **{k: d[k] for k in ("restaurant", "restaurant_type", "geography")},
                "visit": (batch, sequence),
            }
            rows += [
                {**slices, "issue_type": kind, "reported": (batch, sequence, kind) in told}
                for kind in ("drivers_waiting", "congestion")
            ]
        return rows

    def answers(self, who: str) -> list[Row]:
        newest = max(o["order_timestamp"] for o in self.all_orders.values())
        rows = []
        for s in read("survey_responses"):
            order = self.all_orders.get(s["order_id"])
            customer = s["customer_id"] or (order["customer_id"] if order else None)
            kind = "customer" if customer else "driver" if s["driver_id"] else "restaurant"
            if kind != who or customer in self.internal:
                continue
            at = s["responded_at"] or (order["order_timestamp"] if order else newest)
            moment = order["order_timestamp"] if order else at
            driver, restaurant = s["driver_id"], s["restaurant_id"]
            row = {
                "topic": TOPICS[s["question"] or ""], "score": s["score"], "nps": s["nps_score"],
                "time_of_day": moment.hour, "day_of_week": moment.isoweekday(),
                "delivery_type": order and order["delivery_type"], "geography": order and order["geography"],
                "restaurant_type": order and order["restaurant_type"], "driver": driver,
                "vehicle_type": self.drivers[driver]["vehicle_type"] if driver else None, "restaurant": restaurant,
            }
            if restaurant:
                row["restaurant_type"] = self.restaurants[restaurant]["cuisine_type"]
            if customer:
                row["frequent_batched_customer"] = self.customer_segment(customer, at.date())
            if driver:
                row["frequent_batch_driver"] = self.driver_segment(driver, at.date())
            rows.append(row)
        return rows

    def customer_segment(self, customer: int, day: date) -> str:
        batched = [
            o for o in self.all_orders.values()
            if o["customer_id"] == customer and day - timedelta(27) <= o["date_partition"] <= day
            and o["delivered"] and o["delivery_type"] == "batched"
        ]
        return "frequent" if len(batched) >= 2 else "other"

    def driver_segment(self, driver: int, day: date) -> str:
        done = [j for j in self._jobs(driver) if day - timedelta(27) <= j["date_partition"] <= day]
        batched = [j for j in done if j["batched"]]
        return "frequent" if batched and len(batched) / len(done) >= 0.5 else "other"

    def window_customers(self, day: date) -> list[Row]:
        """Customers of the 28 days up to `day`, and whether they order in the 28 days after it."""
        rows = []
        for customer in self.customers:
            days = [o["date_partition"] for o in self.orders if o["customer_id"] == customer]
            if any(day - timedelta(27) <= d <= day for d in days):
                rows.append({
                    "frequent_batched_customer": self.customer_segment(customer, day),
                    "returned": any(day < d <= day + timedelta(28) for d in days),
                })
        return rows

    def window_drivers(self, day: date) -> list[Row]:
        rows = []
        for driver in self.drivers:
            days = [j["date_partition"] for j in self._jobs(driver)]
            if any(day - timedelta(27) <= d <= day for d in days):
                rows.append({
                    "frequent_batch_driver": self.driver_segment(driver, day),
                    "returned": any(day < d <= day + timedelta(28) for d in days),
                })
        return rows

    # -- routes, runs, costs ----------------------------------------------------------------------------

    def stops(self) -> list[Row]:
        seen: dict[tuple[int, int], Row] = {}
        for w in read("fact_batch_waypoints"):
            seen.setdefault((w["batch_id"], w["sequence_order"]), w)
        return [
            {**self.all_batches[batch], "sequence": sequence, "miles": w["distance_to_next_miles"],
             "late": minutes(w["estimated_arrival_time"], w["actual_arrival_time"])}
            for (batch, sequence), w in seen.items()
        ]

    def runs(self) -> list[Row]:
        done = [r for r in read("batching_algorithm_runs") if r["finished_at"]]
        loads = sorted(r["orders_considered"] for r in done if r["orders_considered"] is not None)
        rows = []
        for r in done:
            load = None
            if r["orders_considered"] is not None:
                place = sum(value <= r["orders_considered"] for value in loads) / len(loads)
                load = "peak" if place > 0.9 else "high" if place > 0.75 else "medium" if place > 0.5 else "low"
            a = self.algorithms[r["batching_algorithm_key"]]
            rows.append({
                "algorithm": a["algorithm_name"], "algorithm_version": a["algorithm_version"], "load_level": load,
                "time_of_day": r["started_at"].hour, "day_of_week": r["started_at"].isoweekday(),
                "seconds": (r["finished_at"] - r["started_at"]).total_seconds(),
            })
        return rows

    def costs(self) -> list[Row]:
        empty = dict.fromkeys(("delivery_type", "geography", "restaurant_type"))
        rows = []
        for c in read("delivery_costs"):
            order = self.all_orders.get(c["order_id"])
            if order and order["customer_id"] in self.internal:
                continue
            at = order["order_timestamp"] if order else c["incurred_at"]
            slices = {k: order[k] for k in empty} if order else empty
            moment = {"time_of_day": at.hour, "day_of_week": at.isoweekday()}
            rows.append({**slices, **moment, "cost": c["amount_cents"] / 100})
        return rows

    def order_costs(self) -> list[Row]:
        by_order: dict[int, float] = defaultdict(float)
        for c in read("delivery_costs"):
            by_order[c["order_id"]] += c["amount_cents"] / 100
        return [{**o, "cost": by_order.get(o["order_id"])} for o in self.orders]
