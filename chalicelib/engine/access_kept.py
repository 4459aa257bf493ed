"""The access list and the roles, read again every few seconds: every request asks for them.

One rule: what this process changes is in force here at once, elsewhere after `KEPT` at the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from chalicelib.domain.permissions import Acl
from chalicelib.domain.roles import Role
from chalicelib.engine.ports import Clock
from chalicelib.engine.ports_access import AccessRules, StoredAcl

KEPT = timedelta(seconds=10)

T = TypeVar("T")


@dataclass(slots=True)
class _Kept(Generic[T]):
    """What was read, and when it must be read again."""

    read: Callable[[], T]
    clock: Clock
    found: tuple[datetime, T] | None = None

    def now(self) -> T:
        at, found = self.clock.now(), self.found
        if found is None or not timedelta() <= at - found[0] < KEPT:
            found = self.found = (at, self.read())
        return found[1]


class KeptAccess:
    """Another place's access list and roles."""

    def __init__(self, place: AccessRules, clock: Clock) -> None:
        self._place = place
        self._acl = _Kept(place.acl, clock)
        self._roles = _Kept(place.roles, clock)

    def acl(self) -> StoredAcl:
        return self._acl.now()

    def put_acl(self, acl: Acl | None, expected: str | None) -> StoredAcl:
        # Forgotten before and after: a write whose reply was lost may have happened.
        self._acl.found = None
        stored = self._place.put_acl(acl, expected)
        self._acl.found = None
        return stored

    def roles(self) -> Mapping[str, Role]:
        return self._roles.now()

    def put_role(self, role: Role) -> None:
        self._roles.found = None
        self._place.put_role(role)
        self._roles.found = None

    def drop_role(self, name: str) -> None:
        self._roles.found = None
        self._place.drop_role(name)
        self._roles.found = None

    def forget(self) -> None:
        self._acl.found = self._roles.found = None
