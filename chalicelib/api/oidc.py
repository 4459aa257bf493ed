"""Routes of log-in at identity providers: a browser goes there, and comes back.

One rule: however a log-in ends, the browser lands on the page `/login/callback` of this site, and
what it is told stands behind the `#`, which no server and no log sees.
Source: HTTP API, sections 4.1 and 4.6; security, S4.
"""

from __future__ import annotations

import logging
from urllib.parse import quote, urlencode

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, Reply, answered
from chalicelib.api.visitors import (
    cookie,
    cookie_of,
    device,
    first_admin,
    is_https,
    place_of,
    tokens,
)
from chalicelib.auth import sessions
from chalicelib.domain.errors import NotFoundError, StroemError
from chalicelib.domain.oidc import FLOW_LIFE
from chalicelib.engine import oidc
from chalicelib.engine.oidc import Returned

bp = Blueprint(__name__)
_log = logging.getLogger("stroem.api")

STATE_COOKIE = "stroem_oidc_state"
LANDING = "/login/callback"
_PATH = "/api/auth/oidc"
_FOUND = 302


@bp.route("/auth/oidc/{provider}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Send a browser to an identity provider; `next` is where it goes on to",
        answer=None,
        status=_FOUND,
        errors=(404,),
        public=True,
        media="text/plain",
    ),
)
def begin_oidc(call: Call, provider: str) -> Reply:
    try:
        departure = oidc.depart(call.engine, provider, call.params.get("next"), place_of(call))
    except NotFoundError:
        raise
    except StroemError as error:
        return _landing(_refusal(provider, error), [])
    return _redirect(departure.address, [_state_cookie(call, departure.cookie)])


@bp.route("/auth/oidc/{provider}/callback", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Take back a browser from an identity provider, with tokens or an error",
        answer=None,
        status=_FOUND,
        errors=(404,),
        public=True,
        media="text/plain",
    ),
)
def end_oidc(call: Call, provider: str) -> Reply:
    # It was good for one answer, whatever that was.
    cookies = [_state_cookie(call, "")]
    returned = Returned(cookie_of(call, STATE_COOKIE), call.params)
    try:
        came = oidc.arrive(call.engine, provider, returned, first_is_admin=first_admin() is None)
        issued = sessions.begin(call.engine, tokens(), came.user, device(call))
    except NotFoundError:
        raise
    except StroemError as error:
        return _landing(_refusal(provider, error), cookies)
    call.audit(action="login", resource=f"provider {provider}", actor=came.user.email)
    told = {"access_token": issued.access_token}
    if came.next is not None:
        told["next"] = came.next
    return _landing(told, [cookie(call, issued.refresh_token)["Set-Cookie"], *cookies])


def _refusal(provider: str, error: StroemError) -> dict[str, str]:
    _log.warning(
        "oidc log-in refused", extra={"provider": provider, "code": error.code, "why": str(error)}
    )
    return {"error": error.message}


def _landing(told: dict[str, str], cookies: list[str]) -> Reply:
    return _redirect(f"{LANDING}#{urlencode(told, quote_via=quote)}", cookies)


def _redirect(address: str, cookies: list[str]) -> Reply:
    headers: dict[str, str | list[str]] = {"Location": address, "Content-Type": "text/plain"}
    if cookies:
        headers["Set-Cookie"] = cookies
    return Reply(None, _FOUND, headers)


def _state_cookie(call: Call, value: str) -> str:
    # Lax: the browser comes back from another site, and must bring it.
    age_s = int(FLOW_LIFE.total_seconds()) if value else 0
    secure = "; Secure" if is_https(call) else ""
    return f"{STATE_COOKIE}={value}; HttpOnly; SameSite=Lax; Path={_PATH}; Max-Age={age_s}{secure}"
