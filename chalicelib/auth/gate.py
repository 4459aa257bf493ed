"""Who a request comes from, by the header `Authorization`: a user's token, or an API key.

One rule: what somebody may do is read from the tables, 10 s old at most, never from what is shown.
Source: security, S1, S5; HTTP API, section 4.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

from chalicelib.auth import api_keys
from chalicelib.auth.tokens import UserTokens
from chalicelib.domain.accounts import User
from chalicelib.domain.callers import Caller, CallerKind, Permission
from chalicelib.domain.credentials import ApiKey
from chalicelib.domain.errors import NotFoundError, UnauthenticatedError
from chalicelib.domain.live import Identity
from chalicelib.domain.roles import ADMIN, BUILT_IN, permissions_of
from chalicelib.engine.api_keys import used
from chalicelib.engine.engine import Engine

KEPT = timedelta(seconds=10)
_MOST_KEPT = 5000
_BEARER = "bearer"

T = TypeVar("T")


class _Kept(Generic[T]):
    """What was read in the last seconds, by name; safe for any number of threads."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[datetime, T]] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str, now: datetime) -> T | None:
        with self._lock:
            at, value = self._found.get(name, (None, None))
        return value if at is not None and timedelta() <= now - at < KEPT else None

    def put(self, name: str, value: T, now: datetime) -> None:
        with self._lock:
            self._found[name] = (now, value)
            self._found.move_to_end(name)
            while len(self._found) > _MOST_KEPT:
                self._found.popitem(last=False)


class TokenGate:
    """Lets in who shows a token or a key, and nobody else."""

    def __init__(self, engine: Engine, tokens: UserTokens) -> None:
        self._engine = engine
        self._tokens = tokens
        self._users: _Kept[User] = _Kept()
        self._keys: _Kept[ApiKey] = _Kept()

    def caller_of(self, authorization: str | None) -> Caller:
        kind, _, shown = (authorization or "").partition(" ")
        if kind.lower() != _BEARER or not shown:
            raise UnauthenticatedError(
                "log in first: send `Authorization: Bearer <token>` with an access token or an "
                "API key"
            )
        if shown.startswith(api_keys.BEGINNING):
            return self._of_key(shown)
        return self._of_token(shown)

    def caller_again(self, identity: Identity, *, is_fresh: bool = False) -> Caller:
        now = self._engine.clock.now()
        user = None
        if identity.user_id:
            user = self._user(identity.user_id, now, is_fresh=is_fresh)
        if identity.kind is CallerKind.KEY:
            key = self._key_named(identity.key_id or "", now, is_fresh=is_fresh)
            if key is not None and key.user_id == identity.user_id:
                return self._by_key(key, user, now)
        elif identity.kind is CallerKind.USER and identity.stamp is not None:
            return self._by_token(user, identity.stamp, now)
        raise UnauthenticatedError("who opened this connection may do nothing any more")

    def _of_token(self, shown: str) -> Caller:
        now = self._engine.clock.now()
        claims = self._tokens.read(shown, now)
        return self._by_token(self._user(claims.user_id, now), claims.stamp, now)

    def _by_token(self, user: User | None, stamp: str, now: datetime) -> Caller:
        if user is not None and user.stamp != stamp:
            # What is kept may be older than the token.
            user = self._user(user.user_id, now, is_fresh=True)
        if user is None or user.disabled or user.stamp != stamp:
            raise UnauthenticatedError("this token was taken back: log in again")
        return Caller(
            kind=CallerKind.USER,
            name=user.email,
            email=user.email,
            user_id=user.user_id,
            is_admin=user.is_admin,
            groups=frozenset(user.groups),
            permissions=self._granted(user),
            stamp=user.stamp,
        )

    def _of_key(self, shown: str) -> Caller:
        now = self._engine.clock.now()
        key = self._key(shown, now)
        return self._by_key(key, self._user(key.user_id, now) if key else None, now)

    def _by_key(self, key: ApiKey | None, user: User | None, now: datetime) -> Caller:
        if key is None or user is None or user.disabled or not key.is_live(now):
            raise UnauthenticatedError("this API key is unknown, expired or deleted")
        granted = self._granted(user)
        return Caller(
            kind=CallerKind.KEY,
            name=key.name,
            email=user.email,
            user_id=user.user_id,
            is_admin=user.is_admin,
            groups=frozenset(user.groups),
            permissions=granted if key.scopes is None else granted & key.scopes,
            workspaces=key.workspaces,
            key_id=key.prefix,
            stamp=user.stamp,
        )

    def _granted(self, user: User) -> frozenset[Permission]:
        if user.is_admin:
            return BUILT_IN[ADMIN].permissions
        return permissions_of(self._engine.access.roles(), user.roles)

    def _user(self, user_id: str, now: datetime, *, is_fresh: bool = False) -> User | None:
        found = None if is_fresh else self._users.get(user_id, now)
        if found is None:
            try:
                found = self._engine.accounts.user(user_id)
            except NotFoundError:
                return None
            self._users.put(user_id, found, now)
        return found

    def _key_named(self, prefix: str, now: datetime, *, is_fresh: bool) -> ApiKey | None:
        found = None if is_fresh else self._keys.get(prefix, now)
        if found is None:
            try:
                found = self._engine.accounts.key(prefix)
            except NotFoundError:
                return None
            self._keys.put(prefix, found, now)
        return found

    def _key(self, shown: str, now: datetime) -> ApiKey | None:
        prefix = api_keys.prefix_of(shown)
        if prefix is None:
            return None
        found = self._keys.get(prefix, now)
        if found is not None and api_keys.is_right(found, shown):
            return found
        found = api_keys.find(self._engine, shown)
        if found is not None:
            self._keys.put(prefix, found, now)
            if found.is_live(now):
                used(self._engine, found, now)
        return found
