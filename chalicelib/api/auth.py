"""Routes of log-in: in, on, out, who am I, and passwords. Source: HTTP API, section 4.1."""

from __future__ import annotations

from datetime import timedelta

from chalice.app import Blueprint

from chalicelib.api.auth_shapes import (
    AccessShape,
    LoginBody,
    Me,
    PasswordBody,
    RefreshBody,
    ResetBody,
)
from chalicelib.api.edge import Call, Operation, Reply, answered
from chalicelib.api.shapes import Status
from chalicelib.api.visitors import (
    cookie,
    cookie_in,
    device,
    first_admin,
    person_of,
    place_of,
    tokens,
)
from chalicelib.auth import resets, sessions
from chalicelib.auth.sessions import Issued
from chalicelib.domain.callers import CallerKind
from chalicelib.domain.errors import InvalidError, UnauthenticatedError
from chalicelib.engine import accounts, logins
from chalicelib.engine.logins import Attempt
from chalicelib.engine.ports_accounts import Pace

bp = Blueprint(__name__)

_REFRESHES = Pace(timedelta(seconds=2), 15)
_OTHERS = Pace(timedelta(seconds=3), 20)


@bp.route("/auth/login", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Log in with address and password",
        answer=AccessShape,
        body=LoginBody,
        errors=(401, 429),
        public=True,
    ),
)
def log_in(call: Call) -> Reply:
    signing = tokens()
    body = call.body(LoginBody)
    attempt = Attempt(body.email, body.password, place_of(call))
    user = logins.log_in(call.engine, attempt, first_admin())
    issued = sessions.begin(call.engine, signing, user, device(call))
    call.audit(action="login", actor=user.email)
    return issued_reply(call, issued)


@bp.route("/auth/refresh", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Exchange a refresh token, once, for the next one and an access token",
        answer=AccessShape,
        body=RefreshBody,
        errors=(401, 403, 429),
        public=True,
    ),
)
def refresh(call: Call) -> Reply:
    signing = tokens()
    logins.throttle(call.engine, f"refresh#place#{place_of(call)}", _REFRESHES)
    shown = cookie_in(call) or call.body(RefreshBody).refresh_token
    if not shown:
        raise UnauthenticatedError("there is no refresh token: log in")
    issued = sessions.renew(call.engine, signing, shown, device(call))
    call.audit(action="refresh", actor=issued.user.email)
    return issued_reply(call, issued)


@bp.route("/auth/logout", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="End the session of a refresh token; its cookie goes",
        answer=Status,
        body=RefreshBody,
        errors=(403, 429),
        public=True,
    ),
)
def log_out(call: Call) -> Reply:
    logins.throttle(call.engine, f"auth#place#{place_of(call)}", _OTHERS)
    shown = cookie_in(call) or call.body(RefreshBody).refresh_token
    user = sessions.end(call.engine, shown) if shown else None
    if user is not None:
        call.audit(action="logout", actor=user.email)
    return Reply(Status(), headers=cookie(call, ""))


@bp.route("/auth/logout-everywhere", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="End all sessions and tokens of the caller; API keys go on",
        answer=Status,
        errors=(403,),
        personal=True,
    ),
)
def log_out_everywhere(call: Call) -> Reply:
    accounts.end_everywhere(call.engine, person_of(call))
    return Reply(Status(), headers=cookie(call, ""))


@bp.route("/auth/me", methods=["GET"])
@answered(bp, Operation(summary="Show who asks", answer=Me, personal=True))
def me(call: Call) -> Me:
    caller = call.caller
    if caller.kind is CallerKind.OPEN or caller.user_id is None:
        raise InvalidError("nobody has to log in here, so there is nobody to show")
    user = call.engine.accounts.user(caller.user_id)
    return Me(
        user_id=user.user_id,
        name=user.name,
        email=user.email,
        is_admin=user.is_admin,
        groups=list(user.groups),
        created_at=user.created_at,
        roles=list(user.roles),
        permissions=sorted(caller.permissions),
        auth_methods=user.auth_methods,
    )


@bp.route("/auth/password", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Choose another password, which ends all sessions but the one that begins now",
        answer=AccessShape,
        body=PasswordBody,
        errors=(401, 403, 429),
        personal=True,
    ),
)
def change_password(call: Call) -> Reply:
    signing = tokens()
    user_id = person_of(call)
    body = call.body(PasswordBody)
    logins.throttle(call.engine, f"password#user#{user_id}", logins.PER_ADDRESS)
    user = accounts.change_password(call.engine, user_id, body.old_password, body.new_password)
    return issued_reply(call, sessions.begin(call.engine, signing, user, device(call)))


@bp.route("/auth/reset", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Choose a password by a reset token, once; it ends all sessions",
        answer=Status,
        body=ResetBody,
        errors=(401, 429),
        public=True,
    ),
)
def reset_password(call: Call) -> Status:
    tokens()
    logins.throttle(call.engine, f"login#place#{place_of(call)}", logins.PER_PLACE)
    body = call.body(ResetBody)
    user = resets.redeem(call.engine, body.token, body.new_password)
    call.audit(action="reset_password", actor=user.email)
    return Status()


def issued_reply(call: Call, issued: Issued) -> Reply:
    """Return the answer that gives somebody his tokens: one in the body, one in the cookie."""
    body = AccessShape(access_token=issued.access_token, expires_in=issued.expires_in_s)
    return Reply(body, headers=cookie(call, issued.refresh_token))
