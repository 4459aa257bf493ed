"""Who stands at the door: tokens of this installation, the cookie, and where a request is from.

One rule: the cookie counts only for pages of our own: its `Origin` must be ours.
Source: security, S2, S21; HTTP API, section 4.1.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from chalicelib.api.edge import Call
from chalicelib.auth.sessions import device_of
from chalicelib.auth.tokens import UserTokens
from chalicelib.domain.callers import CallerKind
from chalicelib.domain.credentials import SESSION_LIFE
from chalicelib.domain.errors import InvalidError, PermissionDeniedError
from chalicelib.engine.logins import FirstAdmin
from chalicelib.settings import access, edge_settings

COOKIE = "stroem_refresh"
_PATH = "/api/auth"


def tokens() -> UserTokens:
    """Return what makes and reads access tokens.

    Raises:
        InvalidError: nobody has to log in here.
    """
    keys = access().token_keys
    if not keys:
        raise InvalidError("nobody has to log in here: this installation has no STROEM_TOKEN_KEYS")
    return UserTokens(keys)


def first_admin() -> FirstAdmin | None:
    """Return who may become the first user, as the operator has set it up."""
    email, _, password = (access().admin or "").partition(":")
    return FirstAdmin(email, password) if email and password else None


def person_of(call: Call) -> str:
    """Return the id of the user who asks, logged in himself.

    Raises:
        PermissionDeniedError: it is an API key.
        InvalidError: nobody has to log in here.
    """
    tokens()
    caller = call.caller
    if caller.kind is not CallerKind.USER or caller.user_id is None:
        raise PermissionDeniedError("an API key may not do this: log in with `stroem login`")
    return caller.user_id


def place_of(call: Call) -> str:
    """Return the network address that the request came from."""
    identity = call.request.context.get("identity") or {}
    return str(identity.get("sourceIp") or "unknown")


def device(call: Call) -> str:
    """Return what tells this device from another."""
    return device_of(call.header("User-Agent"), place_of(call))


def cookie_in(call: Call) -> str | None:
    """Return the refresh token that the cookie holds.

    Raises:
        PermissionDeniedError: it was sent by a page of another site.
    """
    found = cookie_of(call, COOKIE)
    if found is not None:
        _check_origin(call)
    return found


def cookie_of(call: Call, name: str) -> str | None:
    """Return a cookie's value, None for an empty one, whoever sent it."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(call.header("Cookie") or "")
    except CookieError:
        return None
    found = jar.get(name)
    return found.value or None if found else None


def cookie(call: Call, value: str) -> dict[str, str]:
    """Return the header that sets the cookie; with an empty value, the one that removes it."""
    age_s = int(SESSION_LIFE.total_seconds()) if value else 0
    secure = "; Secure" if is_https(call) else ""
    text = f"{COOKIE}={value}; HttpOnly; SameSite=Strict; Path={_PATH}; Max-Age={age_s}{secure}"
    return {"Set-Cookie": text}


def _check_origin(call: Call) -> None:
    origin = call.header("Origin")
    if origin is None or origin in edge_settings().cors_origins:
        return
    ours = {call.header("Host"), urlsplit(access().base_url or "").netloc}
    # `null` has no netloc, and neither has nothing.
    if urlsplit(origin).netloc not in ours - {None, ""}:
        raise PermissionDeniedError("this cookie counts for pages of this site only")


def is_https(call: Call) -> bool:
    """Say whether browsers reach us by https."""
    base_url = access().base_url or ""
    return call.header("X-Forwarded-Proto") == "https" or base_url.startswith("https:")
