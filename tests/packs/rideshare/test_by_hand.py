"""Numbers of the tiny fleet worked out on paper; the oracle does the rest."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from prodsense.warehouse import Warehouse

#: Of 18 rides 16 are completed by drivers who are no test accounts; 8 of them Carpool.
BY_HAND = {
    "total_ride_volume": 16,
    "carpool_ride_penetration": 8 / 16,
    # Rides 101 to 118 with journeys: 3, 1, 2, 1 (the internal rider left out), 2, 1, 2 (one rode for nothing) paid ones.
    "fares_per_driver_trip": 12 / 7,
    # 101: 2, 3, 2 on board for ten minutes each; 114: 2 for forty; 118: 2 for twenty.
    "average_fill_rate": (20 + 30 + 20 + 80 + 40) / (30 + 40 + 20),
    # 101: 15, 20, 0; 103: 20 of 18 1/3; 104: 2, 0; 108: 10; 114: 10 and one unknown; 115: 0; 118: 10, 0, 0.
    "average_detour_time_per_rider": (15 + 20 + 5 / 3 + 2 + 10 + 10 + 10) / 12,
    # 101: 16 - 14; 103: 4 - 4; 104: 8.5 - 9; 108: 8 - 11; 115: 6 - 6; 118: 12 - 7; of 114 one rider's is unknown.
    "vehicle_miles_avoided": 2 + 0 - 0.5 - 3 + 0 + 5,
    # The same of vehicles with a factor: sedan 0.4, suv 0.6.
    "emissions_avoided": 0.4 * 2 + 0.6 * -0.5 + 0.4 * 5,
    # Nineteen Carpool bookings of others than the internal rider; one found nobody.
    "carpool_request_success_rate": 18 / 19,
    "carpool_rider_cancellation_rate": 5 / 19,
    "carpool_driver_cancellation_rate": 2 / 19,
    # Tickets of 101 (three), 104, 114 (two); not that of the internal rider, nor that of the ride that never ended.
    "carpool_complaint_rate": 6 / 8,
    "complaints_detour_too_long": 2,
    "carpool_rider_csat": (4 + 2 + 3 + 5 + 3 + 4) / 6,
    "carpool_rider_nps": 100 * (1 - 2) / 4,
    # From request to pickup: the second journey of a rider in one ride waited for nothing.
    "pickup_wait_time": (300 + 480 + 360 + 400 + 600 + 600 + 600 + 540 + 900 + 600 + 300) / 11,
    "driver_earnings_per_hour": 211.5 / (27_600 / 3600),
    # Without ride 111, whose revenue is unknown, and 116, whose fare is.
    "platform_take_rate": 72.25 / 269,
    # Between 101 and 102, 108 and 109, 110 and 114, 115 and 117.
    "driver_idle_time_between_fares": (65 + 70 + 195 + 190) / 4,
    # Riders 2, 3, 4 and 5 were new at their first ride; 1 and 6 were not, of 7 and 8 it cannot be told.
    "new_user_carpool_first_ride_share": 4 / 4,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_number(fleet: Warehouse, name: str) -> None:
    (row,) = fleet.metric(f"rideshare.{name}", grain="all").rows
    assert float(row[name]) == pytest.approx(BY_HAND[name])


def test_discount_on_comparable_trips(fleet: Warehouse) -> None:
    """Downtown to Airport at eight: 22 for 5.5 miles and 20 for 6, both Regular; Carpool 12 for 8, 9 for 7, 8 for 6.

    Centre to Harbor at noon: 10 for 4 miles, Carpool 8. No other Carpool journey has a Regular one to compare with.
    """
    mile = (22 + 20) / (5.5 + 6)
    rows = fleet.metric("rideshare.carpool_fare_discount", by="ride_type", grain="all").rows
    found = {row["ride_type"]: row["carpool_fare_discount"] for row in rows}
    assert found["Carpool"] == pytest.approx(1 - (12 + 9 + 8 + 8) / (mile * (8 + 7 + 6) + 10))
    assert found["Regular"] == pytest.approx(0)


def test_beside_standard_rides(fleet: Warehouse) -> None:
    """A metric of Carpool is that of Carpool, until it is asked by ride type or a ride type is asked for."""
    asked = fleet.metric("rideshare.carpool_rider_csat", by="ride_type", grain="all").rows
    assert {row["ride_type"]: row["carpool_rider_csat"] for row in asked} == {"Carpool": 3.5, "Regular": 5}
    (row,) = fleet.metric("rideshare.carpool_rider_csat", where="ride_type = 'Regular'", grain="all").rows
    assert row["carpool_rider_csat"] == 5
    rows = fleet.metric("rideshare.carpool_rider_cancellation_rate", by="ride_type", grain="all").rows
    assert {r["ride_type"]: r["carpool_rider_cancellation_rate"] for r in rows} == {"Carpool": 5 / 19, "Regular": 1 / 5}
    # By city, a city without Carpool answers has none: not those of other rides.
    rows = fleet.metric("rideshare.carpool_driver_nps", by="city", grain="all").rows
    assert {r["city"]: r["carpool_driver_nps"] for r in rows} == {"Metro": 100, "Lakeside": -100}


def test_causes_of_cancellations_are_out_of_all_bookings(fleet: Warehouse) -> None:
    rows = fleet.metric("rideshare.carpool_rider_cancellation_rate", by="cancellation_reason", grain="all").rows
    # 509 waited longer than promised and 522 says so; 526 waited ten minutes; 507 found nobody; 525 says something else.
    assert {r["cancellation_reason"]: r["carpool_rider_cancellation_rate"] for r in rows} == {
        "poor_eta": 2 / 19, "long_wait": 1 / 19, "matching_problem": 1 / 19, "other": 1 / 19,
    }  # fmt: skip


def test_utilisation_of_one_day(fleet: Warehouse) -> None:
    """15 January: driver 11 online for three and a half hours, riders on board for an hour and twenty-five minutes."""
    (row,) = fleet.metric("rideshare.driver_utilisation_rate", since="2024-01-15", until="2024-01-16").rows
    assert row["driver_utilisation_rate"] == pytest.approx(85 / 210)
    rows = fleet.metric("rideshare.driver_utilisation_rate", by="hour_of_day", since="2024-01-15", until="2024-01-16").rows
    assert {r["hour_of_day"]: pytest.approx(r["driver_utilisation_rate"]) for r in rows} == {
        7: 0, 8: 1, 9: 0, 10: 25 / 60,
    }  # fmt: skip


def test_riders_sharing(fleet: Warehouse) -> None:
    rows = {row["ride_id"]: row for row in fleet.query("rideshare.riders_sharing_a_ride").rows}
    assert {k: r["rider_count"] for k, r in rows.items()} == {
        101: 3, 102: 1, 103: 1, 104: 1, 105: 0, 106: 1, 108: 1, 109: 1, 110: 1, 111: 1, 112: 0, 113: 1, 114: 2, 115: 1,
        116: 1, 117: 1, 118: 2,
    }  # fmt: skip
    assert [k for k, r in rows.items() if r["is_shared"]] == [101, 114, 118]
    assert [k for k, r in rows.items() if r["is_shared_at_once"]] == [101, 114, 118]
    some = fleet.query("rideshare.riders_sharing_a_ride", start_date="2024-01-16", end_date="2024-01-17").rows
    assert [row["ride_id"] for row in some] == [103, 104, 105, 106]


def test_passenger_summary(fleet: Warehouse) -> None:
    rows = {row["rider_user_key"]: row for row in fleet.query("rideshare.passenger_behaviour_summary").rows}
    assert sorted(rows) == [1, 2, 3, 4, 5, 6, 7, 8]  # neither the internal rider nor the journey of nobody
    assert rows[5] | {"mean_segment_minutes": 0} == {
        "rider_user_key": 5, "segments": 4, "carpool_segments": 2, "total_segment_fare": 36, "mean_segment_fare": 9,
        "total_segment_distance": 17.5, "mean_segment_distance": 4.375, "total_segment_minutes": 70,
        "mean_segment_minutes": 0,
    }  # fmt: skip


def test_driver_summary_repeats_no_ride(fleet: Warehouse) -> None:
    rows = {(r["driver_user_key"], r["ride_type"]): r for r in fleet.query("rideshare.driver_ride_summary").rows}
    # Driver 11's Carpool rides 101, 114, 118 with eight journeys: fares 30, 24 and 17, once each.
    assert rows[11, "Carpool"] == {
        "driver_user_key": 11, "ride_type": "Carpool", "rides": 3, "total_fare": 71, "total_distance": 29,
        "total_duration": 8100,
    }  # fmt: skip
    assert (21, "Carpool") not in rows


def test_stops_of_a_ride(fleet: Warehouse) -> None:
    rows = fleet.query("rideshare.pickup_dropoff_pattern", ride_id=101).rows
    assert [(r["stop_type"], r["rider_user_key"], r["riders_on_board"], r["minutes_since_previous_stop"]) for r in rows] == [
        ("pickup", 1, 1, None), ("pickup", 2, 2, 10), ("pickup", 3, 3, 10), ("dropoff", 3, 2, 10), ("dropoff", 1, 1, 10),
        ("dropoff", 2, 0, 20),
    ]  # fmt: skip
    assert rows[0]["stop_at"] == datetime(2024, 1, 15, 8) and (rows[3]["city"], rows[3]["zone"]) == ("Metro", "Airport")
    # The rider of 104 gets out and in again at midnight: nobody on board between.
    assert [r["riders_on_board"] for r in fleet.query("rideshare.pickup_dropoff_pattern", ride_id=104).rows] == [1, 0, 1, 0]
    # A journey without length counts up before it counts down.
    assert [r["riders_on_board"] for r in fleet.query("rideshare.pickup_dropoff_pattern", ride_id=118).rows] == [1, 2, 3, 2, 1, 0]
    everything = fleet.query("rideshare.pickup_dropoff_pattern").rows
    assert {r["ride_id"] for r in everything} == {101, 103, 104, 108, 114, 115, 118}


def test_pairs_who_met(fleet: Warehouse) -> None:
    rows = fleet.query("rideshare.rider_pairs").rows
    # January: 1-2, 1-3, 2-3 in ride 101, and 1-2 again in 114; February: 1-8.
    assert rows == [{"month": date(2024, 1, 1), "rider_pairs": 3}, {"month": date(2024, 2, 1), "rider_pairs": 1}]
