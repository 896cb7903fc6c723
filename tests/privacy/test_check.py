"""What packs declare about roles and people names things that are there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from prodsense.contracts.tables import read_schema
from prodsense.contracts.vocabulary import ALL, Subject
from prodsense.errors import ProdsenseError
from prodsense.metrics.scope import Scope
from prodsense.packs import load_pack, pack_names
from prodsense.privacy.check import check_people, check_role, check_subject
from prodsense.privacy.subjects import own_columns, subject_columns, subjects_of

DELIVERY = load_pack("delivery")
SCOPE = Scope.of(DELIVERY)


@pytest.mark.parametrize("name", pack_names())
def test_every_pack_s_roles_and_people_resolve(name: str) -> None:
    pack = load_pack(name)
    scope = Scope.of(pack)
    for role in pack.roles.values():
        check_role(role, pack, scope)
    for subject in subjects_of(pack).values():
        check_subject(subject, pack, scope)
    check_people(pack, scope)


PARTNER = DELIVERY.roles["partner"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"rows": {"orderz": ""}}, "no table or model named delivery.orderz"),
     ({"rows": {"orders": "shop = :restaurant_id"}}, "shop"), ({"rows": {"orders": "restaurant_id = :shop"}}, ":shop"),
     ({"rows": {"orders": "restaurant_id IN (SELECT x FROM dim_drivers)"}}, "x"),
     ({"may": {"metrix": ALL}}, "no kind metrix"), ({"may": {"metrics": ("ordres",)}}, "there is no ordres"),
     ({"may": {"methods": ("x",)}}, "there is no x"), ({"counts": {"nope": ("n",)}}, "there is no nope"),
     ({"hide": ("orders.nope",)}, "no column nope"), ({"peers": ("restaurant", "shop_id")}, "there is no shop_id"),
     ({"peers": ("shop", "restaurant_id")}, "there is no shop")],
)  # fmt: skip
def test_a_role_that_names_what_is_not_there_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ProdsenseError, match=said):
        check_role(replace(PARTNER, **change), DELIVERY, SCOPE)


@pytest.mark.parametrize(
    ("subject", "said"),
    [(Subject("x", "", "dim_people.id"), "there is no dim_people"), (Subject("x", "", "fact_orders.buyer"), "there is no buyer"),
     (Subject("x", "", "dim_customers.customer_id", {"fact_orders_setup": ("who",)}), "there is no who"),
     (Subject("x", "", "dim_customers.customer_id", blank={"fact_orders": ("customer_id",)}), "may not be null"),
     (Subject("x", "", "dim_customers.customer_id", where={"settings": "TRUE"}), "there is no settings"),
     (Subject("x", "", "dim_customers.customer_id", {"settings": ("setting",)}, {"settings": "nope"}), "nope")],
)  # fmt: skip
def test_a_subject_that_names_what_is_not_there_is_said(subject: Subject, said: str) -> None:
    with pytest.raises(ProdsenseError, match=said):
        check_subject(subject, DELIVERY, SCOPE)


def test_columns_of_a_person_follow_references_and_what_is_declared() -> None:
    found = own_columns(DELIVERY.subjects["customer"], DELIVERY.tables)
    assert found["dim_customers"] == found["fact_orders"] == found["fact_orders_setup"] == ("customer_id",)
    assert found["experiment_assignments"] == ("unit_id",)
    assert "fact_deliveries" not in found
    assert own_columns(DELIVERY.subjects["driver"], DELIVERY.tables)["fact_deliveries"] == ("driver_id",)
    assert subject_columns(DELIVERY) == ("customer_id", "driver_id")


def test_people_of_a_pack_that_says_nothing_are_made_out_from_its_keys() -> None:
    class Pack:
        subjects: ClassVar[dict[str, Any]] = {}
        tables: ClassVar[dict[str, Any]] = dict(load_pack("stickiness").tables)

    (subject,) = subjects_of(Pack()).values()
    assert (subject.name, subject.key) == ("user", "users.user_id")
    assert subject.columns["user_events"] == ("user_id",)
    # Versions of a person are people, whatever a later table is keyed by.
    versions = read_schema(
        "CREATE TABLE totals (user_id INT PRIMARY KEY); CREATE TABLE dim_users (id INT PRIMARY KEY, user_id INT)", "p"
    )
    Pack.tables = versions
    (subject,) = subjects_of(Pack()).values()
    assert (subject.key, set(subject.columns)) == ("dim_users.user_id", {"totals", "dim_users"})
    Pack.tables = {"settings": load_pack("stickiness").tables["settings"]}
    assert subjects_of(Pack()) == {}
