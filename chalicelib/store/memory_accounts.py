"""Accounts in memory: for tests and for runs on one machine; one suite holds for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from chalicelib.domain.accounts import User
from chalicelib.domain.credentials import ApiKey, DeviceGrant, Session
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.engine.ports_accounts import Pace

K = TypeVar("K")
T = TypeVar("T")


class MemoryAccounts:
    """Users, sessions, keys and grants in dictionaries."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._emails: dict[str, str] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._keys: dict[str, ApiKey] = {}
        self._grants: dict[str, DeviceGrant] = {}
        self._turns: dict[str, float] = {}

    def users(self) -> list[User]:
        return sorted(self._users.values(), key=lambda user: user.email)

    def user(self, user_id: str) -> User:
        return _found(self._users, user_id, f"there is no user {user_id}")

    def user_by_email(self, email: str) -> User:
        found = self._users.get(self._emails.get(email, ""))
        if found is None:
            raise NotFoundError(f"there is no user {email!r}")
        return found

    def add_user(self, user: User) -> User:
        user_id = self._emails.setdefault(user.email, user.user_id)
        added = replace(user, user_id=user_id)
        if self._users.setdefault(user_id, added) != added:
            raise ConflictError(f"there is a user {user.email!r} already")
        return added

    def put_user(self, user: User, expected: User) -> None:
        _put(self._users, user.user_id, user, expected, f"user {user.email!r}")

    def drop_user(self, user: User) -> None:
        self._users.pop(user.user_id, None)
        if self._emails.get(user.email) == user.user_id:
            del self._emails[user.email]

    def session(self, user_id: str, session_id: str) -> Session:
        return _found(self._sessions, (user_id, session_id), "there is no such session")

    def sessions(self, user_id: str) -> list[Session]:
        return [self._sessions[key] for key in sorted(self._sessions) if key[0] == user_id]

    def put_session(self, session: Session, expected: Session | None) -> None:
        key = (session.user_id, session.session_id)
        _put(self._sessions, key, session, expected, "the session")

    def api_keys(self) -> list[ApiKey]:
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.prefix))

    def key(self, prefix: str) -> ApiKey:
        return _found(self._keys, prefix, f"there is no API key {prefix!r}")

    def put_key(self, key: ApiKey, expected: ApiKey | None) -> None:
        _put(self._keys, key.prefix, key, expected, f"API key {key.prefix!r}")

    def drop_key(self, prefix: str) -> None:
        self._keys.pop(prefix, None)

    def grant(self, user_code: str) -> DeviceGrant:
        return _found(self._grants, user_code, f"no device waits under the code {user_code!r}")

    def put_grant(self, grant: DeviceGrant, expected: DeviceGrant | None) -> None:
        _put(self._grants, grant.user_code, grant, expected, "the device's log-in")

    def take_turn(self, name: str, pace: Pace, now: datetime) -> float:
        every_s, at_s = pace.every.total_seconds(), now.timestamp()
        busy_until_s = max(self._turns.get(name, at_s), at_s)
        wait_s = busy_until_s - (pace.burst - 1) * every_s - at_s
        if wait_s > 0:
            return wait_s
        self._turns[name] = busy_until_s + every_s
        return 0.0


def _found(kept: Mapping[K, T], key: K, what: str) -> T:
    found = kept.get(key)
    if found is None:
        raise NotFoundError(what)
    return found


def _put(kept: dict[K, T], key: K, value: T, expected: T | None, what: str) -> None:
    if kept.get(key) not in (expected, value):
        raise ConflictError(f"{what} was changed at the same time: read it and try again")
    kept[key] = value
