"""Tokens of workers: a group's enrolment token, and the short-lived one of a session.

One rule: a session's token is worth no more than the enrolment token that it was given for: that
is looked up each time, so taking it away ends both.
Source: security, S1, S15.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.worker_groups import WorkerGroup, WorkerPass, WorkerToken
from chalicelib.engine import worker_groups
from chalicelib.engine.engine import Engine

PREFIX = "strw_"
ACCESS_FOR = timedelta(hours=1)
_SECRET_BYTES = 32
_SHOWN = re.compile(r"strw_([0-9a-f]{8,64})_([A-Za-z0-9_-]{32,128})")
_HEADERS = frozenset({"alg", "typ"})
_LEEWAY = timedelta(seconds=30)
_ALGORITHM, _TYPE = "HS256", "at+jwt"
_ISSUER, _AUDIENCE = "stroem", "worker"
_CLAIMS = ("exp", "iat", "iss", "aud", "sub", "jti", "token")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new enrolment token: `text` is shown once and kept nowhere."""

    group: WorkerGroup
    token: WorkerToken
    text: str = field(repr=False)


def issue(engine: Engine, name: str, expires_at: datetime | None) -> IssuedToken:
    """Give a group another enrolment token. Raises: as `worker_groups.add_token`."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    group, token = worker_groups.add_token(engine, name, _digest(secret), expires_at)
    return IssuedToken(group, token, f"{PREFIX}{token.token_id}_{secret}")


def is_enrolment(shown: str) -> bool:
    """Say whether the text is spelled as a group's enrolment token."""
    return shown.startswith(PREFIX)


def is_access(shown: str) -> bool:
    """Say whether the text is spelled as a signed token."""
    return shown.startswith("eyJ") and shown.count(".") == 2  # noqa: PLR2004 - header, claims, signature


def pass_of_enrolment(engine: Engine, shown: str) -> WorkerPass:
    """Return what an enrolment token proves: a group, of no session.

    Raises:
        UnauthenticatedError: it is none that lets anybody in.
    """
    parts = _SHOWN.fullmatch(shown)
    found = worker_groups.live_token(engine, parts[1]) if parts else None
    # Compared in any case, so that a wrong secret takes as long as a wrong id.
    expected = found[1].digest if found else "-"
    is_right = hmac.compare_digest(_digest(parts[2] if parts else shown), expected)
    if found is None or not is_right:
        raise UnauthenticatedError(
            "this worker token is unknown, expired or revoked: ask for another one with "
            "`stroem worker-groups token`"
        )
    return WorkerPass(group=found[0], token_id=found[1].token_id)


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Signs with the first of the keys, and takes what any of them signed."""

    keys: tuple[str, ...] = field(repr=False)

    def issue(self, engine: Engine, shown: WorkerPass, session: str) -> str:
        """Return a token by which the session speaks for itself for `ACCESS_FOR`."""
        import jwt  # noqa: PLC0415 - it loads slowly, and few processes need it

        now = engine.clock.now()
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": session,
            "token": shown.token_id,
            "iat": int(now.timestamp()),
            "exp": int((now + ACCESS_FOR).timestamp()),
            "jti": engine.ids.nonce(),
        }
        return jwt.encode(claims, _signing(self.keys[0]), _ALGORITHM, headers={"typ": _TYPE})

    def pass_of(self, engine: Engine, shown: str) -> WorkerPass:
        """Return what a session's token proves: one session of a group.

        Raises:
            UnauthenticatedError: none of the keys signed it for this, its time is over, or the
                enrolment token behind it lets nobody in any more.
        """
        claims = self._read(shown)
        now = engine.clock.now()
        is_timely = (
            claims is not None
            and claims["iat"] <= (now + _LEEWAY).timestamp()
            and now.timestamp() < claims["exp"]
        )
        found = worker_groups.live_token(engine, str(claims["token"])) if claims else None
        if claims is None or found is None or not is_timely:
            raise UnauthenticatedError(
                "this session's token is over, or was taken away: ask for another one at "
                "POST /worker/token with the group's token"
            )
        return WorkerPass(group=found[0], token_id=found[1].token_id, session=str(claims["sub"]))

    def _read(self, shown: str) -> dict[str, Any] | None:
        """Return the claims; their times are compared with the clock that made them."""
        import jwt  # noqa: PLC0415 - see above

        for key in self.keys:
            try:
                read = jwt.decode_complete(
                    shown,
                    _signing(key),
                    algorithms=[_ALGORITHM],
                    audience=_AUDIENCE,
                    issuer=_ISSUER,
                    options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False},
                )
            except (jwt.PyJWTError, ValueError):
                continue
            claims: dict[str, Any] = read["payload"]
            times = (claims["iat"], claims["exp"])
            is_plain = read["header"].keys() <= _HEADERS and read["header"].get("typ") == _TYPE
            if is_plain and all(type(one) is int for one in times):
                return claims
        return None


def _signing(key: str) -> bytes:
    """Return the key for this kind of tokens only: of no user's, and of no link."""
    return hmac.digest(key.encode(), b"stroem worker access token", "sha256")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
