"""What stands for a user: sessions that renew themselves, API keys, and log-ins of a device.

One rule: of every secret only a digest is kept. Source: security, S2, S5; RFC 8628.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.callers import Permission

SESSION_LIFE = timedelta(days=30)
GRACE = timedelta(seconds=10)
DEVICE_LIFE = timedelta(minutes=10)
POLL_EVERY = timedelta(seconds=5)


class Shown(StrEnum):
    """What a shown refresh token is: the one in force, the last one just replaced, an old one."""

    CURRENT = "current"
    REPEATED = "repeated"
    REUSED = "reused"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A family of refresh tokens, of which one at a time is in force.

    `stamp` is that of the user when it began. `device` is a digest of what tells one device from
    another. `expires_at` never moves.
    """

    session_id: str
    user_id: str
    stamp: str = field(repr=False)
    digest: str = field(repr=False)
    device: str
    created_at: datetime
    expires_at: datetime
    generation: int = 0
    previous: str | None = field(default=None, repr=False)
    renewed_at: datetime | None = None
    revoked: bool = False

    def judge(self, digest: str, device: str, now: datetime) -> Shown:
        """Say what the token of that digest is, shown now by that device.

        Of a session that knows its last two tokens only, every other token is an old one.
        """
        if self.revoked or now >= self.expires_at:
            return Shown.OVER
        if digest == self.digest:
            return Shown.CURRENT
        is_fresh = self.renewed_at is not None and now - self.renewed_at <= GRACE
        if is_fresh and digest == self.previous and device == self.device:
            return Shown.REPEATED
        return Shown.REUSED

    def renewed(self, digest: str, device: str, now: datetime) -> Session:
        """Return the session with its next token in force."""
        return replace(
            self,
            digest=digest,
            previous=self.digest,
            device=device,
            renewed_at=now,
            generation=self.generation + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key that acts as its user; `prefix`, its beginning, names it.

    `scopes` None: all that the user may; `workspaces` None: all that the user sees.
    """

    prefix: str
    digest: str = field(repr=False)
    user_id: str
    name: str
    created_at: datetime
    expires_at: datetime | None = None
    scopes: frozenset[Permission] | None = None
    workspaces: frozenset[str] | None = None
    last_used_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Say whether its time is not over."""
        return self.expires_at is None or now < self.expires_at


class GrantState(StrEnum):
    """Where the log-in of a device stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    """A device that waits for somebody to let it in.

    `stamp` is that of the user who did; `taken_by` tells one taker from another.
    """

    user_code: str
    digest: str = field(repr=False)
    client: str
    created_at: datetime
    expires_at: datetime
    state: GrantState = GrantState.PENDING
    user_id: str | None = None
    stamp: str | None = field(default=None, repr=False)
    polled_at: datetime | None = None
    taken_by: str | None = None
