"""Coming in: passwords, links, sessions, tokens, CSRF, limits, headers, the audit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from web_shop import Served, serve

import prodsense as ps
from prodsense.web.security import COOKIE, HEADERS, Limits, WebError
from prodsense.web.site import Settings
from prodsense.web.views.identity import local


@pytest.fixture(scope="module")
def inn() -> Iterator[Served]:
    """An empty warehouse: what matters here is the door."""
    with ps.open(":memory:") as warehouse:
        found = serve(warehouse, Settings(sign_in_rate=1000), passwords=True)
        yield found
        found.site.close()


def sign_in(client: TestClient, csrf_of: Any, name: str, password: str, **more: str) -> Any:
    token = csrf_of(client.get("/sign-in"))
    form = {"csrf": token, "name": name, "password": password, **more}
    return client.post("/sign-in", data=form, follow_redirects=False)


def test_a_password_opens_a_session(inn: Served, csrf_of: Any) -> None:
    client = inn.client()
    answer = sign_in(client, csrf_of, "analyst", "password of analyst", next="/api/v1/me")
    assert (answer.status_code, answer.headers["location"]) == (303, "/api/v1/me")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert client.get("/api/v1/me").json()["role"] == "analyst"


def test_a_cookie_is_for_https_only_where_that_is_spoken(inn: Served, csrf_of: Any) -> None:
    client = TestClient(inn.app, base_url="https://testserver")
    answer = sign_in(client, csrf_of, "analyst", "password of analyst")
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(("name", "password"), [("analyst", "password of admin"), ("nobody", "password of analyst"),
                                                ("", ""), ("analyst", "")])  # fmt: skip
def test_wrong_name_and_wrong_password_are_one_answer(inn: Served, csrf_of: Any, name: str, password: str) -> None:
    client = inn.client()
    answer = sign_in(client, csrf_of, name, password)
    assert answer.status_code == 401 and "Wrong name or password." in answer.text
    assert client.get("/api/v1/me").status_code == 401


def test_a_link_signs_in_once(inn: Served, csrf_of: Any) -> None:
    link = f"/sign-in/{inn.site.store.add_link('partner')}"
    first, second = inn.client(), inn.client()
    assert inn.client().get(link).status_code == 200  # to look at it does not use it up
    entered = first.post(link, data={"csrf": csrf_of(first.get(link))}, follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert first.get("/sign-in", follow_redirects=False).status_code == 303
    assert second.post(link, data={"csrf": csrf_of(second.get(link))}).status_code == 403
    late = inn.site.store.add_link("partner", seconds=-1)
    assert second.post(f"/sign-in/{late}", data={"csrf": csrf_of(second.get(link))}).status_code == 403


def test_signing_in_takes_another_cookie(inn: Served, csrf_of: Any) -> None:
    """A session that somebody planted before is worth nothing after."""
    client = inn.client()
    client.get("/sign-in")
    before = client.cookies[COOKIE]
    sign_in(client, csrf_of, "analyst", "password of analyst")
    assert client.cookies[COOKIE] != before
    other = inn.client()
    other.cookies.set(COOKIE, before)
    assert other.get("/api/v1/me").status_code == 401


def test_a_forged_or_old_cookie_is_nobody(inn: Served, csrf_of: Any) -> None:
    client = inn.client()
    sign_in(client, csrf_of, "analyst", "password of analyst")
    good = client.cookies[COOKIE]
    # Not the last letter of the signature: two of its six bits are no part of it.
    forged = good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]
    for bad in (forged, good[5:], "", "x.y.z", "\"'"):
        other = inn.client()
        other.cookies.set(COOKIE, bad)
        assert other.get("/api/v1/me").status_code == 401, bad
    inn.app.state.sessions.seconds, kept = -1, inn.app.state.sessions.seconds
    try:
        assert client.get("/api/v1/me").status_code == 401
    finally:
        inn.app.state.sessions.seconds = kept


def test_a_change_of_the_user_ends_their_sessions(inn: Served, csrf_of: Any) -> None:
    inn.site.store.add_user("ana", "analyst", {}, "a long password")
    client = inn.client()
    sign_in(client, csrf_of, "ana", "a long password")
    assert client.get("/api/v1/me").status_code == 200
    inn.site.store.change_user("ana", role="operations")
    assert client.get("/api/v1/me").status_code == 401
    sign_in(client, csrf_of, "ana", "a long password")
    _, token = inn.site.store.add_token("hers", "ana", "operations")
    inn.site.store.change_user("ana", disabled=True)
    assert client.get("/api/v1/me").status_code == 401
    assert sign_in(inn.client(), csrf_of, "ana", "a long password").status_code == 401
    assert inn.client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_signing_out(inn: Served, csrf_of: Any) -> None:
    client = inn.client()
    sign_in(client, csrf_of, "analyst", "password of analyst")
    token = csrf_of(client.get("/nowhere-at-all")) if False else inn.app.state.sessions.csrf(
        inn.app.state.sessions.read(client.cookies[COOKIE]))
    assert client.post("/sign-out", data={"csrf": token}, follow_redirects=False).status_code == 303
    assert client.get("/api/v1/me").status_code == 401


# -- changes from elsewhere ----------------------------------------------------------------------------


@pytest.fixture
def signed_in(inn: Served, csrf_of: Any) -> tuple[TestClient, str]:
    client = inn.client()
    sign_in(client, csrf_of, "analyst", "password of analyst")
    sessions = inn.app.state.sessions
    return client, sessions.csrf(sessions.read(client.cookies[COOKIE]))


VIEW = {"title": "Mine", "path": "/dashboards"}


def test_a_change_by_cookie_needs_its_token(inn: Served, signed_in: Any, csrf_of: Any) -> None:
    client, token = signed_in
    assert client.post("/api/v1/views", json=VIEW).status_code == 403
    assert client.post("/api/v1/views", json=VIEW, headers={"X-CSRF-Token": "x"}).status_code == 403
    of_another = csrf_of(inn.client().get("/sign-in"))
    assert client.post("/api/v1/views", json=VIEW, headers={"X-CSRF-Token": of_another}).status_code == 403
    assert client.post("/api/v1/views", json=VIEW, headers={"X-CSRF-Token": token}).status_code == 201


def test_a_change_from_another_site_is_refused_even_with_a_token(signed_in: Any) -> None:
    client, token = signed_in
    for where in ("cross-site", "same-site"):
        headers = {"X-CSRF-Token": token, "Sec-Fetch-Site": where}
        assert client.post("/api/v1/views", json=VIEW, headers=headers).status_code == 403


def test_tokens_of_a_session_differ_each_time(inn: Served, csrf_of: Any) -> None:
    client = inn.client()
    assert csrf_of(client.get("/sign-in")) != csrf_of(client.get("/sign-in"))


def test_a_sign_in_form_needs_its_token_too(inn: Served) -> None:
    client = inn.client()
    client.get("/sign-in")
    answer = client.post("/sign-in", data={"name": "analyst", "password": "password of analyst"})
    assert answer.status_code == 403 and COOKIE not in answer.headers.get("set-cookie", "")


def test_a_bearer_token_needs_no_csrf(inn: Served) -> None:
    assert inn.client("analyst").post("/api/v1/views", json=VIEW).status_code == 201


# -- tokens ------------------------------------------------------------------------------------------


def test_a_token_ends(inn: Served) -> None:
    store = inn.site.store
    _, over = store.add_token("over", "analyst", "analyst", days=-1)
    identity, dropped = store.add_token("dropped", "analyst", "analyst")
    assert inn.client().get("/api/v1/me", headers={"Authorization": f"Bearer {dropped}"}).status_code == 200
    assert inn.client("admin").delete(f"/api/v1/tokens/{identity}").status_code == 204
    for text in (over, dropped, "", "ps_", "ps_" + "x" * 43):
        answer = inn.client().get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert inn.client().get("/api/v1/me", headers={"Authorization": "Basic YTpi"}).status_code == 401


def test_nothing_secret_is_stored_in_the_clear(tmp_path: Any) -> None:
    with ps.open(tmp_path / "shop.duckdb") as warehouse:
        found = serve(warehouse, store=tmp_path / "shop.web.sqlite", passwords=True)
        link = found.site.store.add_link("admin")
        texts = ["password of analyst", link, *found.tokens.values()]
        found.site.close()
    files = sorted(tmp_path.glob("shop.web.sqlite*"))
    assert files and all(file.stat().st_mode & 0o077 == 0 for file in files)
    content = b"".join(file.read_bytes() for file in files)
    assert b"analyst" in content and not any(text.encode() in content for text in texts)


def test_tokens_and_users_through_the_api(inn: Served) -> None:
    admin = inn.client("admin")
    made = admin.post("/api/v1/tokens", json={"label": "job", "role": "admin"}).json()
    assert inn.client().get("/api/v1/jobs", headers={"Authorization": f"Bearer {made['token']}"}).status_code == 200
    listed = {row["id"]: row for row in admin.get("/api/v1/tokens").json()}
    assert listed[made["id"]]["owner"] == "admin" and made["token"] not in str(listed)
    assert admin.post("/api/v1/tokens", json={"label": "x", "role": "admin", "owner": "ghost"}).status_code == 404
    assert admin.post("/api/v1/users", json={"name": "bob", "role": "wizard"}).status_code == 400
    made = admin.post("/api/v1/users", json={"name": "bob", "role": "admin"})
    assert made.status_code == 201 and made.json()["path"].startswith("/sign-in/")
    assert admin.post("/api/v1/users", json={"name": "bob", "role": "admin"}).status_code == 400
    assert admin.post("/api/v1/users", json={"name": "eve", "role": "admin", "password": "short"}).status_code == 422
    assert admin.patch("/api/v1/users/bob", json={"disabled": True}).status_code == 204
    assert admin.post("/api/v1/users/bob/link").status_code == 404
    assert "password" not in str(admin.get("/api/v1/users").json())


def test_the_last_admin_stays(inn: Served) -> None:
    admin = inn.client("admin")
    answer = admin.patch("/api/v1/users/admin", json={"disabled": True})
    assert answer.status_code == 400 and "only admin" in answer.json()["detail"]
    assert admin.patch("/api/v1/users/admin", json={"role": "analyst"}).status_code == 400


# -- limits and headers --------------------------------------------------------------------------------


def test_limits_fill_again_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    limits = Limits(api_rate=60, sign_in_rate=3)
    for _ in range(3):
        limits.take("a", 3)
    with pytest.raises(WebError) as refused:
        limits.take("a", 3)
    assert refused.value.status == 429 and int(refused.value.headers["Retry-After"]) == 21
    limits.take("b", 3)  # others are not touched
    now[0] += 20
    limits.take("a", 3)
    with pytest.raises(WebError):
        limits.take("a", 3)


def test_guessing_passwords_is_slowed(csrf_of: Any) -> None:
    with ps.open(":memory:") as warehouse:
        found = serve(warehouse, Settings(sign_in_rate=3))
        client = found.client()
        codes = [sign_in(client, csrf_of, "analyst", f"guess number {i}").status_code for i in range(5)]
        assert codes == [401, 401, 401, 429, 429]
        found.site.close()


def test_asking_too_often(csrf_of: Any) -> None:
    with ps.open(":memory:") as warehouse:
        found = serve(warehouse, Settings(api_rate=3))
        client = found.client("analyst")
        codes = [client.get("/api/v1/me").status_code for _ in range(5)]
        assert codes[:3] == [200] * 3 and 429 in codes
        assert found.client("operations").get("/api/v1/me").status_code == 200
        found.site.close()


@pytest.mark.parametrize("path", ["/", "/sign-in", "/api/v1/me", "/api/v1/nothing", "/nothing", "/static/0/app.js"])
def test_every_answer_has_the_headers(inn: Served, path: str) -> None:
    answer = inn.client().get(path, follow_redirects=False)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"]


def test_an_error_inside_tells_nothing_of_the_inside(inn: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("the secret in the traceback")

    monkeypatch.setattr(inn.site.store, "views", broken)
    answer = inn.client("admin").get("/api/v1/views")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)",
                                  "\\\\evil.example", "/a\nb", "", "evil"])  # fmt: skip
def test_signing_in_leads_nowhere_else(path: str) -> None:
    assert local(path) == "/"


def test_signing_in_leads_back() -> None:
    assert local("/dashboards/delivery.x?since=2024-01-01") == "/dashboards/delivery.x?since=2024-01-01"


def test_static_files_do_not_lead_out_of_their_folder(inn: Served) -> None:
    for name in ("../store.py", "..%2Fstore.py", "%2e%2e/store.py", "/etc/passwd", "nothing.js"):
        assert inn.client().get(f"/static/0/{name}").status_code == 404
    found = inn.client().get("/static/0/app.js")
    assert found.status_code == 200 and found.headers["cache-control"] == "no-cache"


# -- the audit ---------------------------------------------------------------------------------------


def test_the_audit_says_who_asked_what(inn: Served, csrf_of: Any) -> None:
    inn.client("executive").get("/api/v1/audit")
    inn.client("analyst").get("/api/v1/views?secretly=1")
    sign_in(inn.client(), csrf_of, "mallory", "a wrong password")
    lines = inn.client("admin").get("/api/v1/audit?limit=6").json()
    told = [(line["actor"], line["method"], line["path"], line["status"], line["refused"]) for line in lines]
    assert ("analyst (test)", "GET", "/api/v1/views?secretly=1", 200, "") in told
    assert ("executive (test)", "GET", "/api/v1/audit", 403, "the role executive may not do that") in told
    assert ("", "POST", "/sign-in", 401, "wrong name or password") in told
    older = inn.client("admin").get(f"/api/v1/audit?limit=2&before={lines[-1]['id']}").json()
    assert all(line["id"] < lines[-1]["id"] for line in older)


def test_no_secret_is_in_the_audit(inn: Served) -> None:
    link = inn.site.store.add_link("partner")
    inn.client().get(f"/sign-in/{link}")
    assert link not in str(inn.site.store.audit(1000))
