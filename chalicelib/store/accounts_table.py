"""Accounts on DynamoDB, in the table `registry`: one item for each thing, its content as JSON.

One rule: an address is claimed before its user is written; a claim without a user is adopted, id
and all, by the next who adds that address, so that of two at a time one is refused.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition

from chalicelib.domain import keys
from chalicelib.domain.accounts import User
from chalicelib.domain.credentials import ApiKey, DeviceGrant, Session
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.engine.ports_accounts import Pace
from chalicelib.store import accounts_items as items
from chalicelib.store.dynamo import Item, RefusedError, answering, bind

_KEPT_AFTER = timedelta(days=1)


class AccountItem(Item):
    """Anything of an account; what kind it is, the partition says."""

    body = UnicodeAttribute()
    expires = TTLAttribute(null=True)


class TurnItem(Item):
    """When all turns that were taken are over, in seconds."""

    busy_until = NumberAttribute()
    expires = TTLAttribute(null=True)


class AccountsTable:
    """Users, sessions, keys and grants; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(AccountItem, name, region, host)
        self._turn = bind(TurnItem, name, region, host)

    def users(self) -> list[User]:
        found = [items.load_user(*one) for one in self._all(keys.USERS_PK)]
        return sorted(found, key=lambda user: user.email)

    def user(self, user_id: str) -> User:
        body = self._get(keys.USERS_PK, user_id, f"there is no user {user_id}")
        return items.load_user(user_id, body)

    def user_by_email(self, email: str) -> User:
        absent = f"there is no user {email!r}"
        user_id = self._get(keys.EMAILS_PK, email, absent)
        return items.load_user(user_id, self._get(keys.USERS_PK, user_id, absent))

    def add_user(self, user: User) -> User:
        try:
            self._put(keys.EMAILS_PK, user.email, user.user_id, None)
        except ConflictError:
            # Its own user, or what is left of an addition that was cut off.
            user_id = self._get(keys.EMAILS_PK, user.email, _taken(user.email))
            user = replace(user, user_id=user_id)
        try:
            self._put(keys.USERS_PK, user.user_id, items.dump_user(user), None)
        except ConflictError:
            raise ConflictError(_taken(user.email)) from None
        return user

    def put_user(self, user: User, expected: User) -> None:
        body, as_read = items.dump_user(user), items.dump_user(expected)
        self._put(keys.USERS_PK, user.user_id, body, as_read, f"user {user.email!r}")

    def drop_user(self, user: User) -> None:
        with answering(self._name):
            self._item(keys.USERS_PK, user.user_id).delete()
        is_ours = self._item.body == user.user_id
        try:
            with answering(self._name):
                self._item(keys.EMAILS_PK, user.email).delete(is_ours)
        except RefusedError:
            return

    def session(self, user_id: str, session_id: str) -> Session:
        body = self._get(keys.sessions_pk(user_id), session_id, "there is no such session")
        return items.load_session(user_id, session_id, body)

    def sessions(self, user_id: str) -> list[Session]:
        found = self._all(keys.sessions_pk(user_id))
        return [items.load_session(user_id, *one) for one in found]

    def put_session(self, session: Session, expected: Session | None) -> None:
        as_read = None if expected is None else items.dump_session(expected)
        self._put(
            keys.sessions_pk(session.user_id),
            session.session_id,
            items.dump_session(session),
            as_read,
            "the session",
            expires=session.expires_at + _KEPT_AFTER,
        )

    def api_keys(self) -> list[ApiKey]:
        found = [items.load_key(*one) for one in self._all(keys.API_KEYS_PK)]
        return sorted(found, key=lambda key: (key.created_at, key.prefix))

    def key(self, prefix: str) -> ApiKey:
        body = self._get(keys.API_KEYS_PK, prefix, f"there is no API key {prefix!r}")
        return items.load_key(prefix, body)

    def put_key(self, key: ApiKey, expected: ApiKey | None) -> None:
        as_read = None if expected is None else items.dump_key(expected)
        what = f"API key {key.prefix!r}"
        self._put(keys.API_KEYS_PK, key.prefix, items.dump_key(key), as_read, what)

    def drop_key(self, prefix: str) -> None:
        with answering(self._name):
            self._item(keys.API_KEYS_PK, prefix).delete()

    def grant(self, user_code: str) -> DeviceGrant:
        absent = f"no device waits under the code {user_code!r}"
        body = self._get(keys.DEVICE_GRANTS_PK, user_code, absent)
        return items.load_grant(user_code, body)

    def put_grant(self, grant: DeviceGrant, expected: DeviceGrant | None) -> None:
        as_read = None if expected is None else items.dump_grant(expected)
        self._put(
            keys.DEVICE_GRANTS_PK,
            grant.user_code,
            items.dump_grant(grant),
            as_read,
            "the device's log-in",
            expires=grant.expires_at + _KEPT_AFTER,
        )

    def take_turn(self, name: str, pace: Pace, now: datetime) -> float:
        every_s, at_s = pace.every.total_seconds(), now.timestamp()
        latest_s = at_s + (pace.burst - 1) * every_s
        busy_until = self._turn.busy_until
        # Of a burst turns are queued up; whose last turn is long over begins anew.
        is_in_burst = (busy_until > at_s) & (busy_until <= latest_s)
        if self._turned(name, busy_until.set(busy_until + every_s), is_in_burst, now):
            return 0.0
        is_over = busy_until.does_not_exist() | (busy_until <= at_s)
        if self._turned(name, busy_until.set(at_s + every_s), is_over, now):
            return 0.0
        return self._wait_s(name, latest_s, every_s)

    def _turned(self, name: str, action: object, condition: Condition, now: datetime) -> bool:
        item = self._turn(keys.throttle_pk(name), keys.META)
        kept = self._turn.expires.set(now + _KEPT_AFTER)
        try:
            with answering(self._name):
                item.update([action, kept], condition)  # type: ignore[list-item]  # PynamoDB's
        except RefusedError:
            return False
        return True

    def _wait_s(self, name: str, latest_s: float, every_s: float) -> float:
        with answering(self._name):
            try:
                item = self._turn.get(keys.throttle_pk(name), keys.META, consistent_read=True)
            except self._turn.DoesNotExist:
                return every_s
        # It may have moved since it was refused: there is always something to wait for.
        return max(float(item.busy_until) - latest_s, min(1.0, every_s))

    def _all(self, pk: str) -> list[tuple[str, str]]:
        with answering(self._name):
            found = self._item.query(pk, consistent_read=True)
            return [(item.sk, item.body) for item in found]

    def _get(self, pk: str, sk: str, absent: str) -> str:
        with answering(self._name):
            try:
                return self._item.get(pk, sk, consistent_read=True).body
            except self._item.DoesNotExist:
                raise NotFoundError(absent) from None

    def _put(
        self,
        pk: str,
        sk: str,
        body: str,
        expected: str | None,
        what: str = "it",
        *,
        expires: datetime | None = None,
    ) -> None:
        is_as_read: Condition = self._item.pk.does_not_exist()
        if expected is not None:
            is_as_read = self._item.body == expected
        item = self._item(pk, sk, body=body)
        if expires is not None:
            item.expires = expires
        try:
            with answering(self._name):
                item.save(is_as_read)
        except RefusedError:
            # An earlier try of ours may have arrived.
            if self._body(pk, sk) != body:
                raise ConflictError(
                    f"{what} was changed at the same time: read it and try again"
                ) from None

    def _body(self, pk: str, sk: str) -> str:
        try:
            return self._get(pk, sk, "")
        except NotFoundError:
            return ""


def _taken(email: str) -> str:
    return f"there is a user {email!r} already"
