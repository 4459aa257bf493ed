"""Log in a device that has no browser: it waits under a code until somebody lets it in.

One rule: a log-in is taken once, by the device that began it. Source: RFC 8628.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from hmac import compare_digest

from chalicelib.domain.accounts import User
from chalicelib.domain.credentials import DEVICE_LIFE, POLL_EVERY, DeviceGrant, GrantState
from chalicelib.domain.errors import ConflictError, NotFoundError, UnauthenticatedError
from chalicelib.engine import logins
from chalicelib.engine.engine import Engine


class Refused(StrEnum):
    """Why a device gets no tokens now, in the words of RFC 8628, section 3.5."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"


def begin(engine: Engine, user_code: str, digest: str, client: str) -> DeviceGrant:
    """Let a device wait under the code. Raises ConflictError: another one does."""
    now = engine.clock.now()
    grant = DeviceGrant(
        user_code=user_code,
        digest=digest,
        client=client,
        created_at=now,
        expires_at=now + DEVICE_LIFE,
    )
    engine.accounts.put_grant(grant, None)
    return grant


def waiting(engine: Engine, user_code: str) -> DeviceGrant:
    """Return what waits under the code. Raises NotFoundError: nothing does, any more."""
    grant = engine.accounts.grant(user_code)
    if grant.state is not GrantState.PENDING or engine.clock.now() >= grant.expires_at:
        raise NotFoundError(f"no device waits under the code {user_code!r}: begin again there")
    return grant


def decide(engine: Engine, user_code: str, user: User, *, let_in: bool) -> DeviceGrant:
    """Let the device in as that user, or not.

    Raises:
        NotFoundError: none waits under the code.
        ConflictError: it asked at the same moment: try again.
    """
    state = GrantState.APPROVED if let_in else GrantState.DENIED
    for _ in range(3):
        grant = waiting(engine, user_code)
        wanted = replace(grant, state=state, user_id=user.user_id, stamp=user.stamp)
        try:
            engine.accounts.put_grant(wanted, grant)
        except ConflictError:
            continue
        return grant
    raise ConflictError("the device asked at the same moment: try again")


def take(engine: Engine, user_code: str, digest: str) -> User | Refused:
    """Return the user who let the device in, once, or why there is none.

    Raises:
        UnauthenticatedError: the user is shut out since.
    """
    try:
        grant = engine.accounts.grant(user_code)
    except NotFoundError:
        return Refused.EXPIRED
    now = engine.clock.now()
    if not compare_digest(grant.digest, digest) or now >= grant.expires_at:
        return Refused.EXPIRED
    match grant.state:
        case GrantState.DENIED:
            return Refused.DENIED
        case GrantState.TAKEN:
            return Refused.EXPIRED
        case GrantState.PENDING:
            return _still_waiting(engine, grant, now)
        case GrantState.APPROVED:
            return _taken(engine, grant)


def _still_waiting(engine: Engine, grant: DeviceGrant, now: datetime) -> Refused:
    is_early = grant.polled_at is not None and now - grant.polled_at < POLL_EVERY
    if is_early:
        return Refused.SLOW_DOWN
    try:
        engine.accounts.put_grant(replace(grant, polled_at=now), grant)
    except ConflictError:
        # It was decided meanwhile: the next question tells.
        return Refused.PENDING
    return Refused.PENDING


def _taken(engine: Engine, grant: DeviceGrant) -> User | Refused:
    wanted = replace(grant, state=GrantState.TAKEN, taken_by=engine.ids.nonce())
    try:
        engine.accounts.put_grant(wanted, grant)
        user = engine.accounts.user(grant.user_id or "")
    except (ConflictError, NotFoundError):
        return Refused.EXPIRED
    if user.disabled or user.stamp != grant.stamp:
        raise UnauthenticatedError("what let this device in was taken back: begin again")
    return logins.came(engine, user)
