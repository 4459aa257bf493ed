"""ID tokens: whether one is what this provider made for this log-in.

One rule: nothing in a token says how to check it but the name of its key.
Source: security, S1, S4; OpenID Connect Core, section 3.1.3.7; RFC 8725.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

from chalicelib.auth.jwks import KeySet
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.oidc import LONGEST_SUBJECT

LEEWAY = timedelta(seconds=30)
# A token is made in the moment in which it is fetched.
OLDEST = timedelta(minutes=10)
LONGEST_TOKEN = 16 * 1024
_LAST_S = 10**12
_REQUIRED = ("exp", "iat", "iss", "aud", "sub", "nonce")
_TYPES = (None, "jwt")
# They name or bring keys, or ask for extensions that would have to be understood.
_REFUSED_HEADERS = frozenset({"jku", "x5u", "jwk", "x5c", "crit", "zip"})


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)


def read(token: str, expected: Expected, keys: KeySet, now: datetime) -> dict[str, Any]:
    """Return the claims of a token that is to be believed.

    Raises:
        UnauthenticatedError: it is not; the reason is for people and holds nothing of the token.
        UnavailableError: the provider's keys could not be had.
    """
    import jwt  # noqa: PLC0415 - it loads slowly, and few processes need it

    if len(token) > LONGEST_TOKEN:
        raise _refused("is too long")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise _refused("is none") from None
    key = keys.key_of(_key_id(header))
    if header.get("alg") != key.algorithm:
        raise _refused("is not signed as its key is used")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=expected.issuer,
            audience=expected.client_id,
            # Its times are compared with the clock of this installation.
            options={
                "require": list(_REQUIRED),
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.PyJWTError as error:
        raise _refused(f"does not hold ({type(error).__name__})") from None
    _check_party(claims, expected)
    _check_times(claims, now)
    return claims


def _key_id(header: Mapping[str, Any]) -> str | None:
    strange = sorted(_REFUSED_HEADERS & header.keys())
    if strange:
        raise _refused(f"has the header {strange[0]!r}, which is not looked at")
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise _refused("is a token for something else")
    key_id = header.get("kid")
    if not isinstance(key_id, str | None):
        raise _refused("names no key")
    return key_id


def _check_party(claims: Mapping[str, Any], expected: Expected) -> None:
    parties = claims["aud"]
    is_shared = isinstance(parties, list) and parties != [expected.client_id]
    if claims.get("azp", None if is_shared else expected.client_id) != expected.client_id:
        raise _refused("was made for another client")
    nonce, subject = claims["nonce"], claims["sub"]
    if not isinstance(nonce, str) or not compare_digest(_raw(nonce), _raw(expected.nonce)):
        raise _refused("is of another log-in")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise _refused("names nobody")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    at_s, leeway_s = now.timestamp(), LEEWAY.total_seconds()
    times = [claims["exp"], claims["iat"], claims.get("nbf", claims["iat"])]
    # Neither a truth value nor what is no number compares as a time does.
    if not all(type(one) in (int, float) and 0 <= one <= _LAST_S for one in times):
        raise _refused("tells no time")
    ends_s, made_s, begins_s = times
    if at_s >= ends_s + leeway_s or made_s + OLDEST.total_seconds() + leeway_s < at_s:
        raise _refused("has expired")
    if max(made_s, begins_s) > at_s + leeway_s:
        raise _refused("is from the future: look at the clocks")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _refused(why: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"the provider's ID token {why}")
