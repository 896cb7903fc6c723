"""The API keeps to its own document: requests drawn from it, fit and unfit, meet no error inside and no surprise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from web_shop import Served

from prodsense.web.app import doors
from prodsense.web.jobs import Jobs

ROOT = Path(__file__).resolve().parents[2]


def test_every_api_route_is_documented(served: Served, admin: Any) -> None:
    document = admin.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for route in served.app.routes:
        if not route.path.startswith("/api/") or not route.include_in_schema:
            continue
        for method in route.methods - {"HEAD"}:
            described = document["paths"][route.path][method.lower()]
            assert described.get("description"), route.path
            public = doors(route) == ["public"]
            assert (described.get("security") == []) == public, route.path
            assert {"422", "429"} <= set(described["responses"]) and (public or "401" in described["responses"])
    assert "delivery.on_time_rate" in str(document["paths"]["/api/v1/metric"])


def test_a_method_that_an_address_does_not_take_names_those_that_it_does(admin: Any) -> None:
    answer = admin.put("/api/v1/views")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, POST"


#: Routes whose one answer takes seconds, and those that upload: their own tests are elsewhere.
LEFT_OUT = ("/experiment/", "/policies", "/ingest", "/explain/")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_requests_drawn_from_the_document(served: Served, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Fit and unfit requests to every route: no error inside, and every answer as the document says."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis draws the requests")
    from schemathesis.config import SchemathesisConfig
    from schemathesis.generation import GenerationMode

    monkeypatch.setattr(Jobs, "_run", lambda self: None)  # jobs are asked for and not done
    headers = {"Authorization": f"Bearer {served.tokens['admin']}"}
    config = SchemathesisConfig.from_path(ROOT / "schemathesis.toml")
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", served.app, config=config, headers=headers)
    seen, wrong = 0, []
    for found in schema.get_all_operations():
        operation = found.ok()
        if any(part in operation.path for part in LEFT_OUT):
            continue
        drawn = operation.as_strategy(generation_mode=GenerationMode(mode))

        @settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck),
                  phases=[Phase.generate])
        @given(case=drawn)
        def ask(case: Any) -> None:
            case.call_and_validate(headers=headers)

        try:
            ask()
        except (Exception, BaseExceptionGroup) as error:
            if type(error).__name__ == "Unsatisfiable":
                continue  # a route without parameters takes no unfit request
            wrong.append(f"{operation.label}: {error}")
        seen += 1
    assert not wrong, "\n\n".join(wrong)
    assert seen > (35 if mode == "positive" else 25)
