"""Refresh tokens as texts: `strr_`, the user's id, the session's, and a secret.

One rule: the next secret follows from the last one and a key of ours, so that a lost answer can be
given again though no secret is kept. Source: security, S2.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from chalicelib.auth.tokens import ACCESS_FOR, UserTokens
from chalicelib.domain.accounts import User
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.engine import sessions
from chalicelib.engine.engine import Engine
from chalicelib.engine.sessions import ShownToken

_SHOWN = re.compile(r"strr_([0-9a-f]{32})([0-9a-f]{24})_([0-9a-f]{64})")
_SESSION_BYTES, _SECRET_BYTES = 12, 32


@dataclass(frozen=True, slots=True)
class Issued:
    """What somebody who logged in gets; the refresh token is shown once."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int = int(ACCESS_FOR.total_seconds())


def device_of(*parts: str | None) -> str:
    """Return a digest of what tells one device from another."""
    return sha256("\0".join(part or "" for part in parts).encode("utf-8", "replace")).hexdigest()


def begin(engine: Engine, tokens: UserTokens, user: User, device: str) -> Issued:
    """Begin a session of somebody who has just proved who he is."""
    session_id = secrets.token_hex(_SESSION_BYTES)
    secret = secrets.token_hex(_SECRET_BYTES)
    sessions.begin(engine, user, session_id, _digest(secret), device)
    return _issued(engine, tokens, user, _spelled(user.user_id, session_id, secret))


def renew(engine: Engine, tokens: UserTokens, shown: str, device: str) -> Issued:
    """Exchange a refresh token. Raises as `engine.sessions.renew`."""
    user_id, session_id, secret = _read(shown)
    following = tokens.derived("refresh token", shown)
    digests = [_digest(one) for one in following]
    token = ShownToken(user_id, session_id, _digest(secret), digests, device)
    user, chosen = sessions.renew(engine, token)
    return _issued(engine, tokens, user, _spelled(user_id, session_id, following[chosen]))


def end(engine: Engine, shown: str) -> User | None:
    """End the session of a refresh token, and return whose it was; None: of nobody."""
    try:
        user_id, session_id, secret = _read(shown)
    except UnauthenticatedError:
        return None
    return sessions.end(engine, user_id, session_id, _digest(secret))


def _issued(engine: Engine, tokens: UserTokens, user: User, refresh_token: str) -> Issued:
    access = tokens.issue(user, engine.clock.now(), secrets.token_hex(12))
    return Issued(user, access, refresh_token)


def _read(shown: str) -> tuple[str, str, str]:
    parts = _SHOWN.fullmatch(shown)
    if parts is None:
        raise UnauthenticatedError("this is no refresh token of ours: log in again")
    return str(UUID(parts[1])), parts[2], parts[3]


def _spelled(user_id: str, session_id: str, secret: str) -> str:
    return f"strr_{UUID(user_id).hex}{session_id}_{secret}"


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
