"""Kept answers: by version, by policy, once for all who ask at the same time; and what a browser need not get again."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pyarrow as pa
import pytest
from web_shop import Served

from prodsense.web.cache import Cache, size_of
from prodsense.web.pictures import Picture
from prodsense.web.site import policy_of


def test_an_answer_is_computed_once_for_a_version() -> None:
    cache, computed = Cache(), []

    def compute(version: str = "1") -> tuple[str, str]:
        computed.append(version)
        return version, f"answer {version}"

    asked = ("admin", "question")
    assert [cache.get("1", asked, compute) for _ in range(3)] == [("1", "answer 1")] * 3
    assert cache.get("2", asked, lambda: compute("2")) == ("2", "answer 2")
    assert cache.get("2", ("analyst", "question"), lambda: compute("2")) == ("2", "answer 2")
    assert computed == ["1", "2", "2"]
    assert (cache.hits, cache.misses) == (2, 3)


def test_those_who_ask_together_wait_for_one() -> None:
    cache, started, go = Cache(), threading.Event(), threading.Event()
    computed, answers = [], []

    def compute() -> tuple[str, int]:
        computed.append(1)
        started.set()
        assert go.wait(10)
        return "1", 7

    threads = [
        threading.Thread(target=lambda: answers.append(cache.get("1", ("a", "q"), compute))) for _ in range(8)
    ]
    threads[0].start()
    assert started.wait(10)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert computed == [1] and answers == [("1", 7)] * 8


def test_a_failure_is_not_kept_and_stops_nobody() -> None:
    cache = Cache()

    def fail() -> tuple[str, int]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get("1", ("a", "q"), fail)
    assert cache.get("1", ("a", "q"), lambda: ("1", 7)) == ("1", 7)


def test_the_least_used_goes_first() -> None:
    cache = Cache(limit=10_000)
    for name in "abcdefghij":
        cache.put("1", ("p", name), b"x" * 1000)
        cache.get("1", ("p", "a"), lambda: ("1", b"never"))
    kept = {key[1][1] for key in cache._entries}
    assert kept == set("adefghij")
    cache.put("1", ("p", "huge"), b"x" * 5000)  # more than an eighth of all: not kept
    assert ("1", ("p", "huge")) not in cache._entries
    cache.drop_other("2")
    assert not cache._entries and cache._bytes == 0
    assert size_of(b"12345") == 205 and size_of(("12345", [None], {"a": Picture()})) > 205 + 400


def test_what_is_in_use_is_computed_anew_before_readers_move() -> None:
    cache, version = Cache(), ["1"]
    for name in "abc":
        cache.get("1", ("p", name), lambda name=name: (version[0], f"{name}{version[0]}"))  # type: ignore[misc]
    version[0] = "2"
    assert cache.warm() == 3
    assert [cache.get("2", ("p", name), lambda: ("2", "never")) for name in "abc"] == [
        ("2", "a2"), ("2", "b2"), ("2", "c2"),
    ]
    assert cache.warm(seconds=0) == 0


def test_questions_do_not_pile_up() -> None:
    cache = Cache(most=10)
    for number in range(100):
        cache.get("1", ("p", number), lambda: ("1", b""))
    assert len(cache._uses) <= 10 and ("p", 99) in cache._uses


def test_policies_part_answers(served: Served) -> None:
    seven, eight = served.actor("partner"), served.actor("partner")
    assert policy_of(seven) == policy_of(eight) != policy_of(served.actor("admin"))
    object.__setattr__(eight, "attributes", {"restaurant_id": ["8", "9"]})
    assert policy_of(seven) != policy_of(eight)
    hash(policy_of(eight))


def test_a_browser_that_has_the_answer_does_not_get_it_again(served: Served) -> None:
    admin, partner = served.client("admin"), served.client("partner")
    address = "/api/v1/metric?name=delivery.total_order_volume&grain=all"
    first = admin.get(address)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache" and "Authorization" in first.headers["vary"]
    again = admin.get(address, headers={"If-None-Match": tag})
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == tag
    assert admin.get(address, headers={"If-None-Match": f'"x", W/{tag}'}).status_code == 304
    assert admin.get(address, headers={"If-None-Match": '"x"'}).status_code == 200
    # Another role's answer is another one, whatever tag it sends.
    other = partner.get(address, headers={"If-None-Match": tag})
    assert other.status_code == 200 and other.headers["etag"] != tag
    assert other.json()["rows"] != first.json()["rows"]


def test_what_cannot_compute_again_is_let_go() -> None:
    class Session:
        pass

    session = Session()
    gone = weakref.ref(session)
    cache = Cache()
    asked = ("all", "q")
    assert cache.get("1", asked, lambda held=session: ("1", type(held).__name__), again=False) == ("1", "Session")
    del session
    gc.collect()
    assert gone() is None
    assert cache.warm() == 0
    assert cache.get("1", asked, lambda: ("1", "another"), again=False) == ("1", "Session")


def test_an_answer_changes_with_the_data(tiny: Served) -> None:
    admin = tiny.client("admin")
    address = "/api/v1/show/delivery.dim_customers"

    def load(customer: int) -> None:
        def work(warehouse: Any, job: Any) -> dict[str, Any]:
            warehouse.ingest({"delivery.dim_customers": pa.table({"customer_id": [customer]})})
            return {}

        assert tiny.site.jobs.submit("load", "test", work).finished.wait(30)

    load(1)
    first = admin.get(address)
    assert len(first.json()["rows"]) == 1
    load(2)
    second = admin.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200 and len(second.json()["rows"]) == 2
