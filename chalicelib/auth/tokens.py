"""Access tokens of users: what is signed, and what of a shown one is believed.

One rule: a token says who somebody is, never what he may: that is read anew for each request.
Source: security, S1; HTTP API, section 4.6; RFC 9068.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from chalicelib.domain.accounts import User
from chalicelib.domain.errors import UnauthenticatedError

ACCESS_FOR = timedelta(minutes=15)
LEEWAY = timedelta(seconds=30)
_ALGORITHM, _TYPE = "HS256", "at+jwt"
_ISSUER, _AUDIENCE = "stroem", "api"
_CLAIMS = ("exp", "iat", "iss", "aud", "sub", "jti", "stamp")
_HEADERS = frozenset({"alg", "typ", "kid"})


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token names, and under which stamp."""

    user_id: str
    stamp: str


@dataclass(frozen=True, slots=True)
class UserTokens:
    """Signs with the first of the keys, and takes what any of them signed."""

    keys: tuple[str, ...] = field(repr=False)

    def issue(self, user: User, now: datetime, token_id: str) -> str:
        """Return a token that is good for `ACCESS_FOR`.

        `email` and `is_admin` stand in it for clients that show them; nothing here reads them.
        """
        import jwt  # noqa: PLC0415 - it loads slowly, and few processes need it

        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": user.user_id,
            "jti": token_id,
            "iat": int(now.timestamp()),
            "exp": int((now + ACCESS_FOR).timestamp()),
            "stamp": user.stamp,
            "email": user.email,
            "is_admin": user.is_admin,
        }
        key = self.keys[0]
        headers = {"typ": _TYPE, "kid": _kid(key)}
        return jwt.encode(claims, _signing(key), _ALGORITHM, headers=headers)

    def read(self, token: str, now: datetime) -> Claims:
        """Return what the token says.

        Raises:
            UnauthenticatedError: it is none of ours, not for this, or its time is over.
        """
        claims = self._claims(token)
        if claims is None:
            raise UnauthenticatedError("this token is not one of ours: log in again")
        at_s, leeway_s = now.timestamp(), LEEWAY.total_seconds()
        if at_s >= claims["exp"] + leeway_s:
            raise UnauthenticatedError("this token has expired: refresh it, or log in again")
        if claims["iat"] > at_s + leeway_s:
            raise UnauthenticatedError("this token is from the future: look at the clocks")
        return Claims(str(claims["sub"]), str(claims["stamp"]))

    def _claims(self, token: str) -> dict[str, Any] | None:
        import jwt  # noqa: PLC0415 - see above

        try:
            header = jwt.get_unverified_header(token)
            key = {_kid(key): key for key in self.keys}.get(str(header.get("kid")))
            # Whatever else a header may say (`jku`, `x5u`, `jwk`, `crit`), we never wrote it.
            if key is None or header.get("typ") != _TYPE or not header.keys() <= _HEADERS:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                _signing(key),
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                # Its times are compared with the clock that made them.
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        return claims if all(type(claims[name]) is int for name in ("iat", "exp")) else None

    def derived(self, purpose: str, text: str) -> list[str]:
        """Return what each key makes of the text for a purpose of its own; the first is in use."""
        message = f"{purpose}\0{text}".encode()
        return [hmac.new(key.encode(), message, sha256).hexdigest() for key in self.keys]


def _signing(key: str) -> bytes:
    """Return the key for this kind of tokens only: of no worker's, and of no link."""
    return hmac.digest(key.encode(), b"stroem user access token", "sha256")


def _kid(key: str) -> str:
    return hmac.new(key.encode(), b"kid", sha256).hexdigest()[:16]
