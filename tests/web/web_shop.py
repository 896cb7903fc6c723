"""What the tests of the web serve: a small delivery warehouse with planted secrets, and a tiny one to change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi.testclient import TestClient

from prodsense.packs import load_pack
from prodsense.web.actor import Actor
from prodsense.web.app import create_app
from prodsense.web.site import Settings, Site
from prodsense.web.store import Store

#: Restaurant of the partner who signs in, and another one, planted, with two orders of two customers.
OWN, OTHER = 1001, 990001
#: What stands in the data, and who must never see it.
SECRETS = {
    "name": "Osteria Quodlibet",  # the other restaurant's name
    "phone": "+39 0471 424242",  # and its telephone
    "kind": "quodlibetian",  # its cuisine: a group of two customers
    "value": "7777",  # the delivery minutes of that group
    "wish": "ring twice for Wendelin",  # free words of a customer
    "door": "behind the Zanzibar fountain",
}
#: Role → attributes, and the secrets that it must not see. Free words are hidden from everybody but admins.
ROLES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "admin": ({}, ()),
    "analyst": ({}, ("wish", "door")),
    "operations": ({}, ("wish", "door")),
    "executive": ({}, ("name", "phone", "value", "wish", "door")),
    "partner": ({"restaurant_id": str(OWN)}, ("name", "phone", "kind", "value", "wish", "door")),
}


def planted() -> dict[str, pa.Table]:
    """The simulated tables with the secrets in them."""
    tables = dict(load_pack("delivery").simulate(days=21, scale=0.05, seed=7).tables)
    shops, orders, runs = tables["dim_restaurants"], tables["fact_orders"], tables["fact_deliveries"]
    assert OWN in shops["restaurant_id"].to_pylist()
    shop = shops.slice(0, 1).to_pylist()[0] | {
        "restaurant_id": OTHER, "restaurant_external_id": "quod", "restaurant_name": SECRETS["name"],
        "phone_number": SECRETS["phone"], "cuisine_type": SECRETS["kind"],
    }
    tables["dim_restaurants"] = pa.concat_tables([shops, pa.Table.from_pylist([shop], schema=shops.schema)])
    delivered = runs.filter(pc.equal(runs["delivery_status"], "delivered")).slice(0, 2).to_pylist()
    by_id = {row["order_id"]: row for row in orders.to_pylist()}
    more_orders, more_runs = [], []
    for i, run in enumerate(delivered):
        order = by_id[run["order_id"]]
        more_orders.append(order | {
            "order_id": 99_000_001 + i, "restaurant_id": OTHER, "customer_id": orders["customer_id"][i * 7].as_py(),
            "special_instructions": SECRETS["wish"], "delivery_instructions": SECRETS["door"],
        })
        more_runs.append(run | {
            "delivery_id": 99_000_001 + i, "order_id": 99_000_001 + i,
            "actual_delivery_time_minutes": int(SECRETS["value"]),
        })
    tables["fact_orders"] = pa.concat_tables([orders, pa.Table.from_pylist(more_orders, schema=orders.schema)])
    tables["fact_deliveries"] = pa.concat_tables([runs, pa.Table.from_pylist(more_runs, schema=runs.schema)])
    return tables


@dataclass
class Served:
    """A site, its application, and a way in for each role."""

    site: Site
    app: Any
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, role: str | None = None) -> TestClient:
        """A client with the token of a role, or of nobody."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        return TestClient(self.app, headers=headers, raise_server_exceptions=False)

    def actor(self, role: str) -> Actor:
        return Actor(role, role, ROLES[role][0], "token")


def serve(
    warehouse: Any, settings: Settings | None = None, store: str | Path = ":memory:", *, passwords: bool = False
) -> Served:
    """A site over a warehouse, with a user and a token for each role; with `passwords` to sign in by."""
    site = Site(warehouse, settings or Settings(api_rate=1_000_000), Store(store))
    served = Served(site, create_app(site))
    for role, (attributes, _) in ROLES.items():
        site.store.add_user(role, role, attributes, f"password of {role}" if passwords else None)
        served.tokens[role] = site.store.add_token("test", role, role, attributes)[1]
    return served


# -- a tiny shop, to change ---------------------------------------------------------------------------

START = datetime(2024, 1, 1)


def tiny_orders(days: int, first: int = 0, customer: int = 1) -> pa.Table:
    """One delivered order a day of one customer."""
    rows = [
        {"order_id": first + i + 1, "customer_id": customer, "restaurant_id": 1,
         "order_timestamp": START + timedelta(days=first + i, hours=12), "order_total_cents": 1000 + i, "item_count": 1,
         "order_status": "delivered", "date_partition": (START + timedelta(days=first + i)).date()}
        for i in range(days)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)
