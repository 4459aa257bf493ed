"""Routes of log-in on a device that has no browser: it asks, somebody lets it in elsewhere.

Source: RFC 8628.
"""

from __future__ import annotations

from datetime import timedelta

from chalice.app import Blueprint, Response
from pydantic import Field

from chalicelib.api import device_page as page
from chalicelib.api.auth_shapes import AccessShape, Secret
from chalicelib.api.bodies import Body
from chalicelib.api.edge import Call, Operation, Reply, answered
from chalicelib.api.shapes import Shape, Status
from chalicelib.api.visitors import device, first_admin, person_of, place_of, tokens
from chalicelib.auth import devices, sessions
from chalicelib.domain.credentials import DEVICE_LIFE, POLL_EVERY
from chalicelib.domain.errors import (
    NotFoundError,
    RateLimitedError,
    StroemError,
    UnauthenticatedError,
    UnavailableError,
)
from chalicelib.engine import devices as grants
from chalicelib.engine import logins
from chalicelib.engine.devices import Refused
from chalicelib.engine.logins import Attempt
from chalicelib.engine.ports_accounts import Pace
from chalicelib.settings import access

bp = Blueprint(__name__)
pages = Blueprint(f"{__name__}.pages")

FORM = "application/x-www-form-urlencoded"
_PATH = "/device"
_MAX_FORM_BYTES = 8 * 1024
_OTHERS = Pace(timedelta(seconds=3), 20)
_REFUSED = 400


class DeviceBody(Body):
    """What the device calls itself, such as the name of the machine."""

    client: str = Field(default="", max_length=200)


class DeviceBegun(Shape):
    """What a device shows (`user_code`), and what it asks with (`device_code`)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class DeviceTokenBody(Body):
    """The code by which the device asks."""

    device_code: Secret = Field(repr=False)


class DeviceTokens(AccessShape):
    """Both tokens: a device has no cookies."""

    refresh_token: str


class NotYet(Shape):
    """Why there are no tokens, in the words of RFC 8628."""

    error: str
    error_description: str


class DeviceApproval(Body):
    """Which device is let in, or not."""

    user_code: str = Field(max_length=40)
    approve: bool = True


_WORDS = {
    Refused.PENDING: "nobody has let the device in yet",
    Refused.SLOW_DOWN: "the device asks too often: each 5 s is enough",
    Refused.DENIED: "the device was not let in",
    Refused.EXPIRED: "this code is over: begin again",
}


@bp.route("/auth/device", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Begin to log a device in",
        answer=DeviceBegun,
        body=DeviceBody,
        errors=(429,),
        public=True,
    ),
)
def begin_device(call: Call) -> DeviceBegun:
    tokens()
    logins.throttle(call.engine, f"auth#place#{place_of(call)}", _OTHERS)
    begun = devices.begin(call.engine, call.body(DeviceBody).client)
    code = devices.shown_code(begun.grant.user_code)
    address = f"{_origin(call)}{_PATH}"
    return DeviceBegun(
        device_code=begun.device_code,
        user_code=code,
        verification_uri=address,
        verification_uri_complete=f"{address}?user_code={code}",
        expires_in=int(DEVICE_LIFE.total_seconds()),
        interval=int(POLL_EVERY.total_seconds()),
    )


@bp.route("/auth/device/token", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Ask whether a device was let in; `error` tells why not",
        answer=DeviceTokens,
        body=DeviceTokenBody,
        errors=(401,),
        refusal=NotYet,
        public=True,
    ),
)
def take_device(call: Call) -> Reply:
    signing = tokens()
    taken = devices.take(call.engine, call.body(DeviceTokenBody).device_code)
    if isinstance(taken, Refused):
        return Reply(NotYet(error=taken.value, error_description=_WORDS[taken]), _REFUSED)
    issued = sessions.begin(call.engine, signing, taken, device(call))
    call.audit(action="device_login", actor=taken.email)
    return Reply(
        DeviceTokens(
            access_token=issued.access_token,
            expires_in=issued.expires_in_s,
            refresh_token=issued.refresh_token,
        )
    )


@bp.route("/auth/device/approve", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Let a device in as the caller, or not",
        answer=Status,
        body=DeviceApproval,
        errors=(403, 404, 409, 429),
        personal=True,
    ),
)
def approve_device(call: Call) -> Status:
    user = call.engine.accounts.user(person_of(call))
    logins.throttle(call.engine, f"code#user#{user.user_id}", _OTHERS)
    body = call.body(DeviceApproval)
    code = devices.code_of(body.user_code)
    grant = grants.decide(call.engine, code, user, let_in=body.approve)
    call.audit(resource=f"device {grant.client}")
    return Status()


@pages.route(_PATH, methods=["GET"])
@answered(
    pages,
    Operation(
        summary="Show the form that lets a device in",
        answer=None,
        media="text/html",
        public=True,
    ),
)
def show_device(call: Call) -> Response:
    return page.form(call.params.get("user_code", ""))


@pages.route(_PATH, methods=["POST"], content_types=[FORM])
@answered(
    pages,
    Operation(
        summary="Let a device in with address and password",
        answer=None,
        media="text/html",
        form=FORM,
        errors=(401, 404, 429),
        public=True,
    ),
)
def confirm_device(call: Call) -> Response:
    given = page.posted(call.raw(_MAX_FORM_BYTES))
    try:
        tokens()
        attempt = Attempt(given.email, given.password, place_of(call))
        user = logins.log_in(call.engine, attempt, first_admin())
        code = devices.code_of(given.user_code)
        grant = grants.decide(call.engine, code, user, let_in=given.let_in)
    except StroemError as error:
        return page.form(given.user_code, given.email, error, _status(error))
    call.audit(action="approve_device", resource=f"device {grant.client}", actor=user.email)
    return page.done(grant.client, let_in=given.let_in)


def _status(error: StroemError) -> int:
    known = {
        UnauthenticatedError: 401,
        NotFoundError: 404,
        RateLimitedError: 429,
        UnavailableError: 503,
    }
    return next((status for kind, status in known.items() if isinstance(error, kind)), _REFUSED)


def _origin(call: Call) -> str:
    """Return where this is reached: as it was set up, or as the request came."""
    base_url = access().base_url
    if base_url:
        return base_url.rstrip("/")
    scheme = call.header("X-Forwarded-Proto") or "http"
    stage = str(call.request.context.get("stage") or "")
    path = str(call.request.context.get("path") or "")
    below = f"/{stage}" if stage and path.startswith(f"/{stage}/") else ""
    return f"{scheme}://{call.header('Host') or 'localhost'}{below}"
