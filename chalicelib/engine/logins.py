"""Log in with address and password, slowly enough that nobody guesses.

One rule: who may not try now is told before anything is looked up, and a try with a wrong address
costs what one with a wrong password does. Source: security, S3, S22; HTTP API, section 4.1.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256

from chalicelib.domain.accounts import User
from chalicelib.domain.errors import (
    ConflictError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
)
from chalicelib.engine import accounts
from chalicelib.engine.engine import Engine
from chalicelib.engine.ports_accounts import Pace

PER_PLACE = Pace(timedelta(seconds=3), 10)
PER_ADDRESS = Pace(timedelta(seconds=10), 20)
_NO_USER = "the address or the password is wrong"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody wants in. `place` is where from: the address of the network."""

    email: str
    password: str = field(repr=False)
    place: str


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """Who may log in while there is no user yet, and becomes the first."""

    email: str
    password: str = field(repr=False)


def log_in(engine: Engine, attempt: Attempt, first: FirstAdmin | None = None) -> User:
    """Return the user whose address and password these are.

    Raises:
        RateLimitedError: too often, from this place or for this address.
        UnauthenticatedError: they are not right, or the user is disabled.
        UnavailableError: it cannot be told how often: nobody gets in then.
    """
    email = attempt.email.strip().lower()
    throttle(engine, f"login#place#{attempt.place}", PER_PLACE)
    throttle(engine, f"login#address#{email}", PER_ADDRESS)
    if first is not None and email == first.email.strip().lower():
        _begin(engine, first)
    try:
        user = engine.accounts.user_by_email(email)
    except NotFoundError:
        user = None
        # As many reads as for one who is there.
        with suppress(NotFoundError):
            engine.accounts.user(email)
    checked = engine.passwords.check(user.password_hash if user else None, attempt.password)
    if user is None or user.disabled or not checked.is_right:
        raise UnauthenticatedError(_NO_USER)
    hashed = engine.passwords.hash(attempt.password) if checked.is_stale else None
    return came(engine, user, hashed)


def came(engine: Engine, user: User, password_hash: str | None = None) -> User:
    """Note that the user logged in, in whatever way; return it as it is then.

    Raises:
        UnauthenticatedError: it was changed or disabled meanwhile.
    """
    now = engine.clock.now()

    def changed(found: User) -> User:
        if found.stamp != user.stamp or found.disabled:
            raise UnauthenticatedError(_NO_USER)
        return replace(
            found, last_login_at=now, password_hash=password_hash or found.password_hash
        )

    return accounts.change(engine, user.user_id, changed)


def throttle(engine: Engine, name: str, pace: Pace) -> None:
    """Take a turn.

    Raises:
        RateLimitedError: there is none now.
    """
    # Names come from outside: hashed, they are of one length and tell nothing.
    kind, _, _rest = name.rpartition("#")
    short = sha256(name.encode("utf-8", "replace")).hexdigest()[:32]
    wait_s = engine.accounts.take_turn(f"{kind}#{short}", pace, engine.clock.now())
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        raise RateLimitedError(f"too many tries: wait {seconds} s", seconds)


def _begin(engine: Engine, first: FirstAdmin) -> None:
    try:
        accounts.first_admin(engine, first.email, first.password)
    except ConflictError:
        # Another request was first.
        return
