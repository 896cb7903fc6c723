"""At the door: who asks, whether this door is open to them, and that it is really they who ask.

Every route declares what it needs by `may`; `app.check_doors` refuses to start with one that does not.
"""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

from fastapi import Depends, Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from prodsense.errors import ProdsenseError
from prodsense.web.actor import NOBODY, Actor, Permission
from prodsense.web.site import Site

COOKIE = "prodsense"
#: Methods that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class WebError(ProdsenseError):
    """An answer that is an error: a status, and a line that says what to do."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def site(request: Request) -> Site:
    """The site that is served."""
    found: Site = request.app.state.site
    return found


# -- sessions ----------------------------------------------------------------------------------------


class Sessions:
    """Sessions as signed cookies: who, since when, and a nonce that CSRF tokens are tied to."""

    def __init__(self, secret: str, seconds: float):
        self._cookies = URLSafeTimedSerializer(secret, salt="session")
        self._csrf = URLSafeTimedSerializer(secret, salt="csrf")
        self.seconds = seconds

    def new(self, user: dict[str, Any] | None = None) -> str:
        """A cookie's value for a user, or for a visitor who is about to sign in."""
        about = {"u": user["name"], "e": user["epoch"]} if user else {}
        return str(self._cookies.dumps({**about, "n": secrets.token_urlsafe(12)}))

    def read(self, cookie: str | None) -> dict[str, Any]:
        """What a cookie says; empty when it is missing, forged or too old."""
        if not cookie:
            return {}
        try:
            found = self._cookies.loads(cookie, max_age=int(self.seconds))
        except BadSignature:
            return {}
        return found if isinstance(found, dict) else {}

    def csrf(self, session: dict[str, Any]) -> str:
        """A token for forms of this session. Each differs, so that compressed pages do not give it away."""
        return str(self._csrf.dumps([secrets.token_urlsafe(6), session.get("n", "")]))

    def csrf_matches(self, session: dict[str, Any], token: str) -> bool:
        """Whether a token was made for this session."""
        try:
            found = self._csrf.loads(token, max_age=int(self.seconds))
        except BadSignature:
            return False
        return bool(session.get("n")) and isinstance(found, list) and found[-1] == session["n"]


def session_of(request: Request) -> dict[str, Any]:
    """What the request's session cookie says."""
    if not hasattr(request.state, "session"):
        sessions: Sessions = request.app.state.sessions
        request.state.session = sessions.read(request.cookies.get(COOKIE))
    found: dict[str, Any] = request.state.session
    return found


def actor(request: Request) -> Actor:
    """Who asks: by token, else by session, else nobody."""
    if not hasattr(request.state, "actor"):
        request.state.actor = _identify(request)
    found: Actor = request.state.actor
    return found


def _identify(request: Request) -> Actor:
    store = site(request).store
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme:
        found = store.token(text.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise WebError(401, "the token is not valid, or has expired; ask an admin for another",
                           {"WWW-Authenticate": "Bearer"})
        return found
    session = session_of(request)
    user = store.user(session["u"]) if "u" in session else None
    if user is None or user["epoch"] != session.get("e"):
        return NOBODY
    return Actor(user["name"], user["role"], user["attributes"], "session")


# -- doors -------------------------------------------------------------------------------------------


class May:
    """A dependency that lets in those who have a permission; a change by cookie also needs its CSRF token."""

    def __init__(self, permission: Permission):
        self.permission = permission

    async def __call__(self, request: Request) -> Actor:
        who = actor(request)
        request.app.state.limits.check(request, who)
        if not who.may(self.permission):
            if not who.known:
                raise WebError(401, "sign in first, or send a token", {"WWW-Authenticate": "Bearer"})
            raise WebError(403, f"the role {who.role} may not do that")
        if request.method not in SAFE and who.via != "token":
            await check_csrf(request)
        return who


def may(permission: Permission) -> Any:
    """The dependency by which a route (or a router) says who may call it."""
    return Depends(May(permission))


async def check_csrf(request: Request) -> None:
    """Refuse a change that another site could have sent in the user's name."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise WebError(403, "that came from another site")
    token = request.headers.get("x-csrf-token", "")
    kind = request.headers.get("content-type", "")
    if not token and kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        token = str((await request.form()).get("csrf", ""))
    sessions: Sessions = request.app.state.sessions
    if not sessions.csrf_matches(session_of(request), token):
        raise WebError(403, "the page is too old: load it again and repeat")


CurrentSite = Annotated[Site, Depends(site)]
CurrentActor = Annotated[Actor, Depends(actor)]


# -- limits ------------------------------------------------------------------------------------------


class Limits:
    """How often somebody may ask: buckets that fill again with time, kept in memory."""

    #: With more buckets than this the full ones are dropped.
    _MOST = 10_000

    def __init__(self, api_rate: int, sign_in_rate: int):
        self.api_rate, self.sign_in_rate = api_rate, sign_in_rate
        self._buckets: dict[str, tuple[float, float]] = {}

    def check(self, request: Request, who: Actor) -> None:
        """Take one from the actor's bucket (the address's, for nobody); WebError 429 when it is empty."""
        self.take(f"api {who.name or address(request)}", self.api_rate)

    def sign_in(self, request: Request, name: str) -> None:
        """Take one from the buckets of an address and of a name that somebody tries."""
        self.take(f"address {address(request)}", self.sign_in_rate)
        self.take(f"name {name}", self.sign_in_rate)

    def take(self, key: str, rate: int) -> None:
        now = time.monotonic()
        left, at = self._buckets.get(key, (float(rate), now))
        left = min(float(rate), left + (now - at) * rate / 60)
        if left < 1:
            wait = max(1, int((1 - left) * 60 / rate) + 1)
            raise WebError(429, f"too many requests; come back in {wait} s", {"Retry-After": str(wait)})
        self._buckets[key] = (left - 1, now)
        if len(self._buckets) > self._MOST:
            self._buckets = {k: v for k, v in self._buckets.items() if now - v[1] < 60}


def address(request: Request) -> str:
    """Where the request came from (uvicorn puts a trusted proxy's word in its place)."""
    return request.client.host if request.client else ""


# -- headers -----------------------------------------------------------------------------------------

#: Nothing from elsewhere, nothing inline, no eval: Vega runs on the interpreter in its bundle.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self';"
    " connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
