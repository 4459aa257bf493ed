"""Log-ins under way: what a browser keeps of one, and the secrets that follow from it.

One rule: the cookie holds no secret; the nonce and the PKCE verifier are made of its state and a
key of ours, so whoever reads a cookie or an address cannot make them.
Source: security, S4; HTTP API, section 4.6; RFC 7636.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.oidc import FLOW_LIFE, next_of
from chalicelib.engine.ports_oidc import Flow

LONGEST_COOKIE = 4096
_STATE_BYTES = 32
_ALGORITHM, _TYPE, _AUDIENCE = "HS256", "oidc-state+jwt", "oidc-state"
_CLAIMS = ("aud", "exp", "jti", "provider")


@dataclass(frozen=True, slots=True)
class Flows:
    """Signs with the first of the keys, and takes what any of them signed."""

    keys: tuple[str, ...] = field(repr=False)

    def begin(self, provider_id: str, going_on: str | None, now: datetime) -> tuple[Flow, str]:
        """Return a new log-in and its cookie."""
        import jwt  # noqa: PLC0415 - it loads slowly, and few processes need it

        key, state = self.keys[0], secrets.token_urlsafe(_STATE_BYTES)
        flow = _flow(key, provider_id, state, going_on)
        claims = {
            "aud": _AUDIENCE,
            "exp": int((now + FLOW_LIFE).timestamp()),
            "jti": state,
            "provider": provider_id,
            "next": flow.next,
        }
        return flow, jwt.encode(claims, _signing(key), _ALGORITHM, headers={"typ": _TYPE})

    def recall(self, provider_id: str, cookie: str, state: str, now: datetime) -> Flow:
        """Return the log-in that cookie and address are both of.

        Raises:
            UnauthenticatedError: they are of none, of another provider, or its time is over.
        """
        found = self._read(cookie) if len(cookie) <= LONGEST_COOKIE else None
        if found is None:
            raise UnauthenticatedError("this browser began no such log-in: begin again")
        key, claims = found
        kept = str(claims["jti"])
        is_same = hmac.compare_digest(kept.encode(), state.encode("utf-8", "replace"))
        if not is_same or claims["provider"] != provider_id:
            raise UnauthenticatedError("this is the answer to another log-in: begin again")
        if now.timestamp() >= claims["exp"]:
            raise UnauthenticatedError("this log-in took too long: begin again")
        return _flow(key, provider_id, kept, claims.get("next"))

    def _read(self, cookie: str) -> tuple[str, dict[str, Any]] | None:
        """Return what one of the keys signed, and that key."""
        import jwt  # noqa: PLC0415 - see above

        for key in self.keys:
            try:
                read = jwt.decode_complete(
                    cookie,
                    _signing(key),
                    algorithms=[_ALGORITHM],
                    audience=_AUDIENCE,
                    # Its time is compared with the clock that made it.
                    options={"require": list(_CLAIMS), "verify_exp": False},
                )
            except (jwt.PyJWTError, ValueError):
                continue
            if read["header"].get("typ") == _TYPE:
                return key, dict(read["payload"])
        return None


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge. Source: RFC 7636, section 4.2."""
    return _base64(sha256(verifier.encode()).digest())


def _flow(key: str, provider_id: str, state: str, going_on: str | None) -> Flow:
    return Flow(
        provider_id=provider_id,
        state=state,
        nonce=_made(key, "nonce", state).hex(),
        verifier=_base64(_made(key, "verifier", state)),
        next=next_of(going_on),
    )


def _signing(key: str) -> bytes:
    """Return the key for this kind of tokens only."""
    return _made(key, "cookie", "")


def _made(key: str, what: str, of: str) -> bytes:
    return hmac.digest(key.encode(), f"stroem oidc {what}\0{of}".encode(), "sha256")


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
