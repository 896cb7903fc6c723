"""What the tiny fleet's tables mean, in plain Python over its CSV files: rows with a moment `at` and their slices.

Shares no code with the package: loops over rows, brute force over seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from oracle_kit import Row, read_tiny

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# How the words of the tiny files are meant, by hand.
TYPES = {"Carpool": "Carpool", "carpool": "Carpool", "1": "Carpool", "Regular": "Regular"}
CAUSES = {"Long wait at the pickup": "long_wait", "wrong ETA shown": "poor_eta", "no longer needed": "other"}
TOPICS = {None: "overall", "overall": "overall", "fare_fairness": "price"}
SENSITIVE = ("high", "price_sensitive")


def read(name: str) -> list[Row]:
    return [{key: cell(key, value) for key, value in row.items()} for row in read_tiny("rideshare", name)]


def cell(key: str, text: str | None) -> Any:
    if text is None:
        return None
    if key.endswith(("_at", "_timestamp")):
        return datetime.fromisoformat(text)
    if key == "requested_ride_type":
        return text
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return {"true": True, "false": False}.get(text, text)


def band(miles: float | None) -> str | None:
    if miles is None:
        return None
    return "0-2 miles" if miles < 2 else "2-5 miles" if miles < 5 else "5-10 miles" if miles < 10 else "10+ miles"


def tenure(days: int | None) -> str | None:
    if days is None or days < 0:
        return None
    return "0-89 days" if days < 90 else "90-364 days" if days < 365 else "1-2 years" if days < 1095 else "3+ years"


def dated(row: Row, at: datetime) -> Row:
    """The row with its moment and the slices that follow from it."""
    part = "night" if at.hour < 6 else "morning" if at.hour < 12 else "afternoon" if at.hour < 18 else "evening"
    return {
        **row, "at": at, "day": at.date(), "hour_of_day": at.hour, "day_of_week": DAYS[at.weekday()],
        "weekday_vs_weekend": "weekend" if at.weekday() >= 5 else "weekday", "ride_time_of_day": part,
    }


class Fleet:
    def __init__(self) -> None:
        self.users = {u["user_key"]: u for u in read("dim_users")}
        self.internal = {key for key, u in self.users.items() if u["is_internal"] or u["is_test"]}
        self.places = {p["location_key"]: p for p in read("dim_location")}
        self.types = {t["ride_type_key"]: t["ride_type_name"] for t in read("dim_ride_type")}
        self.vehicles = {v["vehicle_key"]: v for v in read("dim_vehicle")}
        self.sessions = [s for s in read("fact_driver_sessions") if s["driver_user_key"] not in self.internal]
        self.requests = {r["request_id"]: r for r in read("fact_ride_requests")}
        self.raw = {s["ride_segment_id"]: s for s in read("fact_ride_segments")}
        self.of_segment, self.of_request = self._links()
        self.rides = {r["ride_id"]: self._ride(r) for r in read("fact_rides") if r["end_timestamp"]
                      and r["driver_user_key"] not in self.internal}
        self.journeys = [
            self._journey(s) for s in self.raw.values()
            if s["ride_id"] in self.rides and s["rider_user_key"] not in self.internal
        ]
        for ride in self.rides.values():
            self._fill(ride, [j for j in self.journeys if j["ride_id"] == ride["ride_id"]])
        for journey in self.journeys:
            ride = self.rides[journey["ride_id"]]
            journey |= {k: ride[k] for k in ("trip_distance", "matched_passengers_in_batch")}
        self.bookings = [self._booking(q) for q in self.requests.values() if q["rider_user_key"] not in self.internal]
        self.cycles = self._cycles()

    # -- slices ------------------------------------------------------------------------------------

    def at_place(self, start: int | None, end: int | None) -> Row:
        a, b = self.places.get(start, {}), self.places.get(end, {})
        zones = a.get("zone"), b.get("zone")
        corridor = " -> ".join(zones) if all(zones) else None
        return {"city": a.get("city"), "zone": zones[0], "route_corridor": corridor}

    def of_driver(self, key: int | None, vehicle: int | None, at: datetime | None) -> Row:
        user = self.users.get(key, {})
        joined, rating = user.get("created_at"), user.get("driver_rating")
        opted = [s["carpool_opt_in"] for s in read("fact_driver_sessions")
                 if s["driver_user_key"] == key and s["carpool_opt_in"] is not None]
        often = None
        if opted:
            share = sum(opted) / len(opted)
            often = "never" if share == 0 else "always" if share == 1 else "sometimes" if share < 0.5 else "often"
        rated = None
        if rating is not None:
            rated = ("below 4.0" if rating < 4 else "4.0-4.4" if rating < 4.5 else "4.5-4.7" if rating < 4.8
                     else "4.8-5.0")
        days = (at.date() - joined.date()).days if joined and at else None
        return {
            "driver_tenure": tenure(days), "driver_rating": rated, "driver_carpool_opt_in_frequency": often,
            "vehicle_type": self.vehicles.get(vehicle, {}).get("vehicle_type"),
        }

    def of_rider(self, key: int | None, at: datetime | None) -> Row:
        user = self.users.get(key, {})
        joined, age, gender = user.get("created_at"), user.get("age_band"), user.get("gender")
        days = (at.date() - joined.date()).days if joined and at else None
        new = None if days is None or days < 0 else "new" if days <= 30 else "existing"
        who = f"{age or '?'}, {gender or '?'}" if age or gender else None
        return {"rider_new_vs_existing": new, "rider_demographics": who, "rider_age": days,
                "rider_price_sensitivity": user.get("price_sensitivity_segment")}

    # -- rows --------------------------------------------------------------------------------------

    def _ride(self, r: Row) -> Row:
        at = r["start_timestamp"] or r["end_timestamp"] - timedelta(seconds=r["total_duration"])
        row = {
            **r, "ride_type": self.types[r["ride_type_key"]], "trip_distance": band(r["total_distance"]),
            **self.at_place(r["start_location_key"], r["end_location_key"]),
            **self.of_driver(r["driver_user_key"], r["vehicle_key"], at),
        }
        return dated(row, at)

    def _links(self) -> tuple[dict[int, int], dict[int, int]]:
        """Request of each journey and journey of each request, as the tiny files mean it: by hand for the one journey
        with two requests (22: the cancelled 522 and 523) and the one rider with two journeys (506: 6 and 7)."""
        of_segment, of_request = {}, {}
        for segment in self.raw.values():
            for q in self.requests.values():
                if q["request_id"] == segment["request_id"] or q["ride_segment_id"] == segment["ride_segment_id"] or (
                    q["ride_id"] and q["ride_id"] == segment["ride_id"] and q["rider_user_key"] == segment["rider_user_key"]
                ):
                    of_segment.setdefault(segment["ride_segment_id"], q["request_id"])
                    of_request.setdefault(q["request_id"], segment["ride_segment_id"])
        of_segment[22], of_request[522] = 523, 22
        return of_segment, of_request

    def _journey(self, s: Row) -> Row:
        ride = self.rides[s["ride_id"]]
        start, end = s["segment_pickup_timestamp"], s["segment_dropoff_timestamp"]
        at = start or ride["at"]
        q = self.requests.get(self.of_segment.get(s["ride_segment_id"]), {})
        asked = q.get("request_timestamp")
        if self.of_request.get(q.get("request_id")) != s["ride_segment_id"]:
            asked = None  # a second journey of one request waited for nothing
        minutes = (end - start).total_seconds() / 60 if start and end else None
        direct, miles = s["direct_duration_estimate"], s["direct_distance_estimate"]
        row = {
            **s, "ride_type": ride["ride_type"], "minutes": minutes, "trip_purpose": q.get("trip_purpose"),
            "detour": minutes - direct / 60 if minutes is not None and direct is not None else None,
            "detour_miles": s["segment_distance"] - miles if None not in (s["segment_distance"], miles) else None,
            "wait": (start - asked).total_seconds() if start and asked and start >= asked else None,
            **self.at_place(s["segment_pickup_location_key"], s["segment_dropoff_location_key"]),
            **self.of_rider(s["rider_user_key"], at),
        }
        return dated(row, at)

    def _fill(self, ride: Row, journeys: list[Row]) -> None:
        """Riders on board second by second; what all journeys of a ride add up to."""
        seconds: dict[int, int] = {}
        for j in journeys:
            start, end = j["segment_pickup_timestamp"], j["segment_dropoff_timestamp"]
            if start and end:
                for n in range(int((start - ride["at"]).total_seconds()), int((end - ride["at"]).total_seconds())):
                    seconds[n] = seconds.get(n, 0) + 1
        direct = [j["direct_distance_estimate"] for j in journeys]
        ride |= {
            "journeys": len(journeys), "paid": sum((j["segment_fare"] or 0) > 0 for j in journeys),
            "matched_passengers_in_batch": len({j["rider_user_key"] for j in journeys} - {None}),
            "passenger_miles": sum(j["segment_distance"] or 0 for j in journeys),
            "direct_miles": sum(direct) if direct and None not in direct else None,
            "on_board": list(seconds.values()), "occupied": sorted(seconds),
        }

    def _booking(self, q: Row) -> Row:
        s = self.raw.get(self.of_request.get(q["request_id"]), {})
        ride = self.rides.get(q["ride_id"] or s.get("ride_id"), {})
        driver = q["driver_user_key"] or ride.get("driver_user_key")
        asked, gone = q["request_timestamp"], q["cancelled_timestamp"]
        waited = (gone - asked).total_seconds() if gone else None
        matched = (q["match_status"] or "").lower() == "matched"
        if q["cancel_reason"]:
            cause = CAUSES[q["cancel_reason"]]
        elif waited and q["eta_seconds"] and waited > q["eta_seconds"]:
            cause = "poor_eta"
        elif waited and waited >= 600:
            cause = "long_wait"
        else:
            cause = "other" if matched else "matching_problem"
        miles = q["direct_distance_estimate"]
        row = {
            **q, "ride_type": TYPES[q["requested_ride_type"]], "matched": matched, "cause": cause,
            "by": (q["cancelled_by"] or "").lower(), "trip_distance": band(miles if miles is not None
                                                                          else ride.get("total_distance")),
            **self.at_place(q["pickup_location_key"] or s.get("segment_pickup_location_key"),
                            q["dropoff_location_key"] or s.get("segment_dropoff_location_key")),
            **self.of_driver(driver, ride.get("vehicle_key"), asked), **self.of_rider(q["rider_user_key"], asked),
        }
        return dated(row, asked)

    def _cycles(self) -> list[Row]:
        """Sessions cut at the last dropoff before each ride."""
        found = []
        for s in self.sessions:
            start, online = s["session_start_timestamp"], s["online_seconds"]
            if not start:
                newest = max(r["at"] for r in self.rides.values())
                found.append(dated({"online": online, "idle": None, "whole": True, **self.at_place(s["location_key"], None),
                                    **self.of_driver(s["driver_user_key"], None, newest)}, newest))
                continue
            if online is None and not s["session_end_timestamp"]:
                continue
            end = s["session_end_timestamp"] or start + timedelta(seconds=online)
            length = (end - start).total_seconds()
            online = length if online is None else online
            inside = []
            for ride in self.rides.values():
                own = [j for j in self.journeys if j["ride_id"] == ride["ride_id"] and j["segment_pickup_timestamp"]]
                if ride["driver_user_key"] == s["driver_user_key"] and own:
                    first = min(j["segment_pickup_timestamp"] for j in own)
                    last = max(j["segment_dropoff_timestamp"] for j in own)
                    if start <= first < end:
                        inside.append((first, last, ride))
            inside.sort(key=lambda x: x[:2])
            if not inside:
                found.append({"start": start, "end": end, "online": online, "idle": None,
                              **self.at_place(s["location_key"], None), **self.of_driver(s["driver_user_key"], None, start)})
            for i, (first, _, ride) in enumerate(inside):
                begin = inside[i - 1][1] if i else start
                finish = end if i + 1 == len(inside) else inside[i][1]
                found.append({
                    **{k: ride[k] for k in ("city", "zone", "route_corridor")},
                    **self.of_driver(s["driver_user_key"], ride["vehicle_key"], begin),
                    "start": begin, "end": finish, "online": online * (finish - begin).total_seconds() / length,
                    "idle": (first - begin).total_seconds() / 60 if i else None, "pickup": first,
                })
        return found

    def waits(self) -> list[Row]:
        return [dated(c, c["pickup"]) for c in self.cycles if c["idle"] is not None]

    def driver_time(self) -> list[Row]:
        """Online and occupied time by clock hour, minute by minute."""
        rows = [dict(c, occupied=0.0) for c in self.cycles if "whole" in c]
        for c in self.cycles:
            if "start" in c:
                minutes = int((c["end"] - c["start"]).total_seconds() / 60)
                rows += [dated({**c, "online": c["online"] / minutes, "occupied": 0.0}, c["start"] + timedelta(minutes=m))
                         for m in range(minutes)]
        known = {s["driver_user_key"] for s in self.sessions}
        for ride in self.rides.values():
            if ride["driver_user_key"] in known:
                rows += [dated({**ride, "online": 0.0, "occupied": 1.0}, ride["at"] + timedelta(seconds=n))
                         for n in ride["occupied"]]
        return rows

    def ride_riders(self) -> list[Row]:
        """Rides beside their riders, at the ride's own place and moment."""
        rider = ("rider_new_vs_existing", "rider_demographics", "rider_price_sensitivity", "trip_purpose")
        rows = []
        for ride in self.rides.values():
            own = [j for j in self.journeys if j["ride_id"] == ride["ride_id"]] or [dict.fromkeys(rider)]
            rows += [{**ride, **{k: j[k] for k in rider}} for j in own]
        return rows

    def first_rides(self) -> list[Row]:
        firsts: dict[int, Row] = {}
        for j in sorted(self.journeys, key=lambda j: (j["at"], j["ride_segment_id"])):
            if j["rider_user_key"]:
                firsts.setdefault(j["rider_user_key"], j)
        return [j for j in firsts.values() if j["rider_age"] is not None and 0 <= j["rider_age"] <= 30]

    def fares(self) -> list[Row]:
        """Journeys with what Regular ones cost a mile on comparable trips."""
        priced = [j for j in self.journeys if j["segment_distance"] and j["segment_fare"] is not None
                  and j["ride_type"] in ("Carpool", "Regular")]
        rows = []
        for j in priced:
            like = [o for o in priced if o["ride_type"] == "Regular" and o["at"].hour == j["at"].hour
                    and band(o["segment_distance"]) == band(j["segment_distance"])
                    and (o["city"], o["route_corridor"]) == (j["city"], j["route_corridor"])]
            if like:
                mile = sum(o["segment_fare"] for o in like) / sum(o["segment_distance"] for o in like)
                rows.append({**j, "expected": mile * j["segment_distance"]})
        return rows

    def earnings(self) -> list[Row]:
        paid: dict[int, float] = {}
        for e in read("fact_driver_earnings"):
            if e["ride_id"]:
                paid[e["ride_id"]] = paid.get(e["ride_id"], 0) + e["earnings_amount"]
        return [{**r, "earned": paid.get(r["ride_id"], 0)} for r in self.rides.values()]

    def opt_ins(self) -> list[Row]:
        payments = []
        for e in read("fact_driver_earnings"):
            ride = self.rides.get(e["ride_id"], {})
            driver, moment = e["driver_user_key"] or ride.get("driver_user_key"), e["earned_at"] or ride.get("end_timestamp")
            payments.append((driver, moment, e["earnings_amount"], ride))
        days = [moment.date() for _, moment, *_ in payments]
        opted = {k: u["carpool_opt_in_timestamp"] for k, u in self.users.items() if u["carpool_opt_in_timestamp"]}
        middle = sorted(opted.values())[(len(opted) - 1) // 2]
        rows = []
        for driver, moment, amount, ride in payments:
            if driver is None or driver in self.internal:
                continue
            at = opted.get(driver, middle)
            n = min(28, (at.date() - min(days)).days, (max(days) - at.date()).days + 1)
            if -n <= (moment.date() - at.date()).days < n:
                row = {"carpool_drivers": "opted in" if driver in opted else "not opted in",
                       "before": amount if moment < at else 0, "after": 0 if moment < at else amount,
                       **{k: ride.get(k) for k in ("city", "zone", "route_corridor")},
                       **self.of_driver(driver, ride.get("vehicle_key"), at)}
                rows.append(dated(row, at))
        return rows

    def answers(self) -> list[Row]:
        rows = []
        for a in read("survey_responses"):
            ride = self.rides.get(a["ride_id"])
            if ride is None or a["user_key"] in self.internal:
                continue
            role = a["role"] or ("driver" if a["user_key"] == ride["driver_user_key"] else "rider")
            own = [j for j in self.journeys if j["ride_id"] == a["ride_id"] and j["rider_user_key"] == a["user_key"]]
            rider = {"trip_purpose": None, **self.of_rider(None, None)}
            place = {k: ride[k] for k in ("city", "zone", "route_corridor")}
            at = ride["at"]
            if role == "rider":
                rider |= {k: v for k, v in self.of_rider(a["user_key"], None).items() if v}
                if own:
                    first = min(own, key=lambda j: (j["at"], j["ride_segment_id"]))
                    rider = {k: first[k] for k in rider}
                    place, at = {k: first[k] for k in place}, first["at"]
            rows.append(dated({**ride, **a, **place, **rider, "role": role, "kind": a["survey_type"].lower(),
                               "topic": TOPICS.get(a["question_code"], a["question_code"])}, at))
        return rows

    def complaints(self) -> tuple[list[Row], list[Row]]:
        """Tickets about Carpool rides, and those rides beside each category."""
        rides = [r for r in self.rides.values() if r["ride_type"] == "Carpool"]
        tickets = [{**self.rides[t["ride_id"]], **t, "complaint_category": t["category"]} for t in read("support_tickets")
                   if t["ride_id"] in {r["ride_id"] for r in rides} and t["user_key"] not in self.internal]
        named = {t["complaint_category"] for t in tickets}
        return tickets, [{**r, "complaint_category": c} for r in rides for c in named]
