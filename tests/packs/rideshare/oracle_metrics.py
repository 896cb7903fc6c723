"""Every metric of the rideshare pack as leaves over the rows of the oracle (see `oracle_kit`)."""

from __future__ import annotations

from oracle_kit import Leaf, Measure, Of, Value, distinct, mean, nps, one, ratio, total

from .oracle import SENSITIVE, Fleet, Row


def both(rows: list[Row], a: str, b: str) -> Value:
    """Ratio of sums over rows that know both."""
    known = [r for r in rows if r[a] is not None and r[b] is not None]
    return ratio(total(r[a] for r in known), total(r[b] for r in known))


def measures(f: Fleet) -> dict[str, Measure]:
    rides, journeys, bookings = list(f.rides.values()), f.journeys, f.bookings
    carpool = lambda rows: [r for r in rows if r["ride_type"] == "Carpool"]  # noqa: E731
    regular = lambda rows: [r for r in rows if r["ride_type"] == "Regular"]  # noqa: E731
    focus = ("ride_type", "Carpool")
    answers = f.answers()
    tickets, beside = f.complaints()
    earned = f.earnings()

    def active(rows: list[Row], who: str, per: str, rolling: int = 0) -> Measure:
        return one(carpool(rows), lambda a: distinct(a, who), per=per, rolling=rolling, source=rows)

    def fill(least: int) -> Of:
        def of(a: list[Row]) -> Value:
            seconds = [n for r in a for n in r["on_board"] if n >= least]
            return ratio(sum(seconds), len(seconds))
        return of

    def saved(r: Row, factor: float | None = 1.0) -> Value:
        known = None not in (r["direct_miles"], r["total_distance"], factor)
        return (r["direct_miles"] - r["total_distance"]) * factor if known else None

    def cost_per_mile(a: list[Row]) -> Value:
        known = [r for r in a if r["platform_cost"] is not None]
        return ratio(total(r["platform_cost"] for r in known), total(r["passenger_miles"] for r in known))

    def per(column: str, scale: float) -> Of:
        def of(a: list[Row]) -> Value:
            known = [r for r in a if r[column] is not None]
            return ratio(total(r["earned"] for r in known), (total(r[column] for r in known) or 0) / scale)
        return of

    def minus(column: str, scale: float) -> Measure:
        return Measure([Leaf(carpool(earned), per(column, scale)), Leaf(regular(earned), per(column, scale))],
                       lambda a, b: None if None in (a, b) else a - b)

    def said(role: str, kinds: tuple[str, ...], topic: str = "", of: Of = lambda a: mean(r["score"] for r in a)) -> Measure:
        rows = [a for a in answers if a["role"] == role and a["kind"] in kinds and (not topic or a["topic"] == topic)]
        return one(rows, of, focus=focus)

    def cancelled(who: str) -> Measure:
        crossed = [{**b, "cancellation_reason": c, "hit": b["by"] == who and b["cause"] == c}
                   for b in bookings for c in ("poor_eta", "long_wait", "matching_problem", "other")]
        return one(crossed, lambda a: ratio(sum(r["hit"] for r in a), distinct(a, "request_id")), focus=focus)

    def complained(words: tuple[str, ...] | None, rate: bool) -> Measure:
        rows = [t for t in tickets if words is None or t["complaint_category"] in words]
        hits = Leaf(rows, len, source=beside)
        return Measure([hits, Leaf(beside, lambda a: distinct(a, "ride_id"))], ratio) if rate else Measure([hits])

    def sensitive(a: list[Row]) -> Value:
        known = [j for j in a if j["rider_price_sensitivity"]]
        return ratio(distinct([j for j in known if j["rider_price_sensitivity"] in SENSITIVE], "rider_user_key"),
                     distinct(known, "rider_user_key"))

    scores = ("csat", "dsat", "survey")
    topics = {
        "detour_too_long": ("detour_too_long", "Detour too long"), "co_passenger_discomfort": ("co_passenger_discomfort",),
        "safety_concern": ("safety_concern",),
    }
    return {
        "carpool_fare_discount": one(
            f.fares(), lambda a: 1 - ratio(total(j["segment_fare"] for j in a), total(j["expected"] for j in a)) if a else None,
            focus=focus),
        "price_sensitive_rider_share": one(journeys, sensitive, focus=focus),
        "pickup_wait_time": one(journeys, lambda a: mean(j["wait"] for j in a), focus=focus),
        "fares_per_driver_trip": one(rides, lambda a: mean(r["paid"] for r in a if r["journeys"]), focus=focus),
        "driver_idle_time_between_fares": one(f.waits(), lambda a: mean(r["idle"] for r in a)),
        "driver_utilisation_rate": one(
            f.driver_time(), lambda a: ratio(total(r["occupied"] for r in a), total(r["online"] for r in a))),
        "total_ride_volume": one(rides, len),
        "passengers_per_vehicle_mile": one(rides, lambda a: both(a, "passenger_miles", "total_distance")),
        "vehicle_miles_avoided": one(carpool(rides), lambda a: total(saved(r) for r in a)),
        "emissions_avoided": one(carpool(rides), lambda a: total(
            saved(r, f.vehicles.get(r["vehicle_key"], {}).get("emission_factor")) for r in a)),
        "carpool_ride_penetration": one(
            f.ride_riders(), lambda a: ratio(distinct(carpool(a), "ride_id"), distinct(a, "ride_id"))),
        "carpool_request_success_rate": one(carpool(bookings), lambda a: mean(b["matched"] for b in a)),
        "daily_active_carpool_riders": active(journeys, "rider_user_key", "day"),
        "weekly_active_carpool_riders": active(journeys, "rider_user_key", "week", 7),
        "monthly_active_carpool_riders": active(journeys, "rider_user_key", "month", 28),
        "daily_active_carpool_drivers": active(rides, "driver_user_key", "day"),
        "weekly_active_carpool_drivers": active(rides, "driver_user_key", "week", 7),
        "monthly_active_carpool_drivers": active(rides, "driver_user_key", "month", 28),
        "new_user_carpool_first_ride_share": one(f.first_rides(), lambda a: mean(j["ride_type"] == "Carpool" for j in a)),
        "carpool_share_of_journeys": one(journeys, lambda a: mean(j["ride_type"] == "Carpool" for j in a)),
        "average_fill_rate": one(carpool(rides), fill(2)),
        "average_fill_rate_occupied": one(carpool(rides), fill(1)),
        "average_detour_time_per_rider": one(carpool(journeys), lambda a: mean(j["detour"] for j in a)),
        "average_detour_distance_per_rider": one(carpool(journeys), lambda a: mean(j["detour_miles"] for j in a)),
        "driver_earnings_per_hour": one(earned, per("total_duration", 3600)),
        "driver_earnings_per_mile": one(earned, per("total_distance", 1)),
        "driver_earnings_per_hour_difference": minus("total_duration", 3600),
        "driver_earnings_per_mile_difference": minus("total_distance", 1),
        "driver_earnings_change_after_opt_in": one(
            f.opt_ins(), lambda a: None if not (r := ratio(total(x["after"] for x in a), total(x["before"] for x in a)))
            and r is None else r - 1, focus=("carpool_drivers", "opted in")),
        "revenue_per_carpool_ride": one(carpool(rides), lambda a: mean(r["platform_revenue"] for r in a)),
        "carpool_revenue": one(carpool(rides), lambda a: total(r["platform_revenue"] for r in a)),
        "revenue_per_standard_ride": one(regular(rides), lambda a: mean(r["platform_revenue"] for r in a)),
        "platform_take_rate": one(rides, lambda a: both(a, "platform_revenue", "total_fare")),
        "profit_per_ride": one(rides, lambda a: mean(
            r["platform_revenue"] - r["platform_cost"] for r in a if None not in (r["platform_revenue"], r["platform_cost"]))),
        "cost_per_passenger_mile": one(rides, cost_per_mile),
        "cost_per_passenger_mile_reduction": Measure(
            [Leaf(carpool(rides), cost_per_mile, source=rides), Leaf(regular(rides), cost_per_mile, source=rides)],
            lambda a, b: None if None in (a, b) else 1 - a / b),
        "carpool_rider_csat": said("rider", scores[:2], "overall"),
        "carpool_rider_nps": said("rider", ("nps",), of=lambda a: nps(r["score"] for r in a)),
        **{f"rider_satisfaction_{t}": said("rider", scores, t) for t in ("price", "travel_time", "co_passenger")},
        "carpool_driver_dsat": said("driver", scores[:2], "overall"),
        "carpool_driver_nps": said("driver", ("nps",), of=lambda a: nps(r["score"] for r in a)),
        **{f"driver_satisfaction_{t}": said("driver", scores, t)
           for t in ("earnings", "multi_stop_ease", "instruction_clarity")},
        "carpool_rider_cancellation_rate": cancelled("rider"),
        "carpool_driver_cancellation_rate": cancelled("driver"),
        "carpool_complaint_rate": complained(None, True),
        **{f"complaints_{t}": complained(words, False) for t, words in topics.items()},
        **{f"complaints_{t}_rate": complained(words, True) for t, words in topics.items()},
    }
