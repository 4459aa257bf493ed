"""Signed addresses that let whoever has them do one thing, until they expire.

One rule: a link says what it may do in its own signed text; nothing of it is stored, so it can be
taken back only by a new key. Source: security, S1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.errors import PermissionDeniedError, UnavailableError
from chalicelib.domain.values import StepRef

PATH = "/approvals/"
_ALGORITHM = "HS256"
_AUDIENCE = "approval"
_CLAIMS = ("job", "step", "attempt", "decision", "exp", "aud")
_APPROVE, _REJECT = "approve", "reject"
_SHORTEST_KEY = 32


class NoLinks:
    """Where no key or address is set up, there are no links."""

    def approval(
        self,
        ref: StepRef,  # noqa: ARG002 - the port's signature, here and below
        attempt: int,  # noqa: ARG002 - the same
        *,
        approved: bool,  # noqa: ARG002 - the same
        expires_at: datetime,  # noqa: ARG002 - the same
    ) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class SignedLinks:
    """Links below `base_url` (no slash at its end), signed with `key`."""

    key: str
    base_url: str

    def approval(
        self, ref: StepRef, attempt: int, *, approved: bool, expires_at: datetime
    ) -> str | None:
        import jwt  # noqa: PLC0415 - it loads slowly, and few processes make links

        claims = {
            "job": ref.job_id,
            "step": ref.step,
            "attempt": attempt,
            "decision": _APPROVE if approved else _REJECT,
            "exp": int(expires_at.timestamp()),
            "aud": _AUDIENCE,
        }
        return f"{self.base_url}{PATH}{jwt.encode(claims, self.key, _ALGORITHM)}"


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """What a link's signed text says."""

    ref: StepRef
    attempt: int
    approved: bool
    expires_at: datetime


def links_of(key: str | None, base_url: str | None) -> NoLinks | SignedLinks:
    """Return what makes links.

    Raises:
        UnavailableError: the key is too short to sign with.
    """
    if key is None or base_url is None:
        return NoLinks()
    if len(key.encode()) < _SHORTEST_KEY:
        raise UnavailableError(
            f"STROEM_LINK_KEY is too short to sign links with: it needs {_SHORTEST_KEY} bytes, as "
            "`openssl rand -base64 48` prints them"
        )
    return SignedLinks(key, base_url.rstrip("/"))


def read_approval(key: str, token: str) -> ApprovalLink:
    """Return what the token says; that its time has come is the caller's to see.

    Raises:
        PermissionDeniedError: it was not signed with this key, or not for this.
    """
    import jwt  # noqa: PLC0415 - see above

    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            # Its time is compared with the clock that made it.
            options={"require": list(_CLAIMS), "verify_exp": False},
        )
        return ApprovalLink(
            StepRef(str(claims["job"]), str(claims["step"])),
            int(claims["attempt"]),
            {_APPROVE: True, _REJECT: False}[claims["decision"]],
            datetime.fromtimestamp(int(claims["exp"]), tz=UTC),
        )
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        raise PermissionDeniedError("this link is not one of ours, or was cut short") from None
