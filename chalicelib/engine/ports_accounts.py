"""What the engine needs to know people: users, sessions, keys, log-ins of devices, throttles.

Writes are conditional as in `ports`: `expected` is what was read, None that there was nothing.
A write that finds its very result there already has happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chalicelib.domain.accounts import User
from chalicelib.domain.credentials import ApiKey, DeviceGrant, Session
from chalicelib.domain.errors import InvalidError, NotFoundError


@dataclass(frozen=True, slots=True)
class Pace:
    """One turn each `every`, of which `burst` may come at once."""

    every: timedelta
    burst: int


class Accounts(Protocol):
    """The table `registry`: accounts. All `put_*` raise ConflictError."""

    def users(self) -> list[User]:
        """Return all users by address."""

    def user(self, user_id: str) -> User:
        """Return the user. Raises NotFoundError."""

    def user_by_email(self, email: str) -> User:
        """Return the user of that address. Raises NotFoundError."""

    def add_user(self, user: User) -> User:
        """Add a user and return it, maybe under another id than it was given.

        An address that was claimed by an addition that was cut off keeps the id of that claim.

        Raises:
            ConflictError: the address has a user.
        """

    def put_user(self, user: User, expected: User) -> None:
        """Replace the user; its address stays."""

    def drop_user(self, user: User) -> None:
        """Remove the user; the address is free then. Safe to repeat."""

    def session(self, user_id: str, session_id: str) -> Session:
        """Return the session. Raises NotFoundError."""

    def sessions(self, user_id: str) -> list[Session]:
        """Return the user's sessions, those that are over too until they are swept away."""

    def put_session(self, session: Session, expected: Session | None) -> None:
        """Begin or change a session."""

    def api_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first."""

    def key(self, prefix: str) -> ApiKey:
        """Return the key. Raises NotFoundError."""

    def put_key(self, key: ApiKey, expected: ApiKey | None) -> None:
        """Add or change a key."""

    def drop_key(self, prefix: str) -> None:
        """Remove the key. Safe to repeat."""

    def grant(self, user_code: str) -> DeviceGrant:
        """Return what waits under that code. Raises NotFoundError."""

    def put_grant(self, grant: DeviceGrant, expected: DeviceGrant | None) -> None:
        """Begin or change the log-in of a device."""

    def take_turn(self, name: str, pace: Pace, now: datetime) -> float:
        """Take a turn and return 0, or take none and return the seconds to wait.

        Whoever takes turns of the same name at once gets no more than the pace allows.
        """


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password is right, and its hash is to be made anew by today's figures."""

    is_right: bool
    is_stale: bool = False


class Passwords(Protocol):
    """Hashes passwords, slowly."""

    def hash(self, password: str) -> str:
        """Return what may be kept of a password."""

    def check(self, kept: str | None, password: str) -> Checked:
        """Compare; with None, which nothing equals, it takes as long."""


class NoAccounts:
    """Nobody has an account: what an engine has that nobody gave any."""

    def users(self) -> list[User]:
        return []

    def user(self, user_id: str) -> User:
        raise NotFoundError(f"there is no user {user_id}")

    def user_by_email(self, email: str) -> User:
        raise NotFoundError(f"there is no user {email!r}")

    def add_user(self, user: User) -> User:
        raise _no_place(user.email)

    def put_user(self, user: User, expected: User) -> None:
        raise _no_place(user.email, expected)

    def drop_user(self, user: User) -> None:
        raise _no_place(user.email)

    def session(self, user_id: str, session_id: str) -> Session:
        raise NotFoundError(f"there is no session {session_id} of {user_id}")

    def sessions(self, user_id: str) -> list[Session]:
        del user_id
        return []

    def put_session(self, session: Session, expected: Session | None) -> None:
        raise _no_place(session.session_id, expected)

    def api_keys(self) -> list[ApiKey]:
        return []

    def key(self, prefix: str) -> ApiKey:
        raise NotFoundError(f"there is no API key {prefix!r}")

    def put_key(self, key: ApiKey, expected: ApiKey | None) -> None:
        raise _no_place(key.prefix, expected)

    def drop_key(self, prefix: str) -> None:
        raise _no_place(prefix)

    def grant(self, user_code: str) -> DeviceGrant:
        raise NotFoundError(f"no device waits under the code {user_code!r}")

    def put_grant(self, grant: DeviceGrant, expected: DeviceGrant | None) -> None:
        raise _no_place(grant.user_code, expected)

    def take_turn(self, name: str, pace: Pace, now: datetime) -> float:
        raise _no_place(name, pace, now)


def _no_place(name: str, *_unused: object) -> InvalidError:
    return InvalidError(f"this installation keeps no accounts, so there is no place for {name}")


class NoPasswords:
    """No password is right here."""

    def hash(self, password: str) -> str:
        raise InvalidError(f"no password is kept here, whatever its length ({len(password)})")

    def check(self, kept: str | None, password: str) -> Checked:
        del kept, password
        return Checked(is_right=False)
