"""Who may see what of deliveries: personal columns, people behind the numbers, a partner's own restaurants."""

from __future__ import annotations

from prodsense.contracts.vocabulary import ALL, Param, Role, Subject

#: Personal beyond what its name says: free words of customers.
PERSONAL = ("refund_requests.reason", "reports.issue_type")

#: Not personal: where a restaurant is, and how to reach it, is on its door. An area is a cell of about two kilometres.
PUBLIC = (
    "area",
    "dim_restaurants.restaurant_lat", "dim_restaurants.restaurant_lng", "dim_restaurants.phone_number",
    "dim_restaurants_setup.restaurant_lat", "dim_restaurants_setup.restaurant_lng",
)  # fmt: skip

#: Relation → columns that each identify the people its rows are about, or an aggregate that counts them.
PEOPLE = {
    "orders": ("customer_id",),
    "order_facts": ("customer_id",),
    "deliveries": ("customer_id", "driver_id"),
    "delivery_facts": ("customer_id", "driver_id"),
    "batches": ("driver_id",),
    "driver_windows": "SUM(drivers)",
    "customer_windows": "SUM(customers)",
    "algorithm_runs": (),
    # What knows no customer is counted by orders or batches: nobody shares those.
    "order_issues": "COUNT(DISTINCT order_id)",
    "cost_items": "COUNT(DISTINCT order_id)",
    "order_costs": "COUNT(DISTINCT order_id)",
    "pickup_issues": "COUNT(DISTINCT batch_id)",
    "route_stops": "COUNT(DISTINCT batch_id)",
    "survey_answers":
        "COUNT(DISTINCT respondent || text_of(COALESCE(customer_id, driver_id, restaurant_id, order_id)))",
}

#: What belongs to a restaurant: relation → condition. Batches mix restaurants and stay closed, and so do drivers.
_OF_RESTAURANT = dict.fromkeys(
    ("fact_orders", "order_facts", "orders", "delivery_facts", "deliveries", "dim_restaurants"),
    "restaurant_id = :restaurant_id",
)

ROLES = (
    Role(
        "operations",
        "Works with single orders, batches and drivers, and sees where drivers are; no SQL, no customers' data.",
        rows=None, may=dict.fromkeys((
            "metrics", "queries", "analyses", "experiments", "detectors", "policies", "dashboards", "questions",
            "explain", "methods", "rows", "findings", "system",
        ), ALL), see=("driver_lat", "driver_lng", "current_lat", "current_lng"),
    ),
    Role(
        "executive", "Sees the whole, in groups of five people or more; no single row.",
        rows=None, may={
            **dict.fromkeys(("metrics", "dashboards", "questions", "experiments", "policies"), ALL),
            "queries": ("batch_state_counts", "algorithm_effectiveness"),
        }, k=5, counts={
            "batch_state_counts": ("batches", "current_state"),
            "algorithm_effectiveness": ("total_deliveries", "algorithm_name", "algorithm_version"),
        },
    ),
    Role(
        "partner", "A restaurant: its own orders and deliveries, in groups of five people or more.",
        attributes=(Param("restaurant_id", "integer", says="The partner's restaurant, or several."),),
        rows=_OF_RESTAURANT, may={"metrics": ALL}, k=5,
        peers=("restaurant", "restaurant_id", "restaurant_type"),
    ),
)  # fmt: skip

SUBJECTS = (
    Subject(
        "customer", "Who orders.", "dim_customers.customer_id",
        columns={"fact_orders_setup": ("customer_id",), "experiment_assignments": ("unit_id",)},
        where={"experiment_assignments": "unit_type = 'customer'"},
        # What a driver was paid stays paid.
        blank={"driver_earnings": ("delivery_id",)},
    ),
    Subject(
        "driver", "Who delivers.", "dim_drivers.driver_id",
        columns={
            "dim_drivers_setup": ("driver_id",), "fact_delivery_batches_setup": ("driver_id",),
            "fact_deliveries_setup": ("driver_id",), "experiment_assignments": ("unit_id",),
        },
        where={"experiment_assignments": "unit_type = 'driver'"},
        blank={
            "fact_deliveries": ("driver_id",), "fact_delivery_batches": ("driver_id", "batch_assigned_at"),
            "fact_deliveries_setup": ("driver_id",),
        },
    ),
)
