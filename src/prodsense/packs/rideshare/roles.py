"""How a person of the rideshare pack is forgotten: riders and drivers are the same people."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Subject

SUBJECTS = (
    Subject(
        "user", "Who rides or drives.", "dim_users.user_key",
        columns={"experiment_assignments": ("user_key",)},
        # A ride is its riders' too: it stays, without its driver.
        blank={"fact_rides": ("driver_user_key",), "fact_ride_requests": ("driver_user_key",)},
    ),
)  # fmt: skip
