"""Who may do what, in memory: for tests and `stroem run`."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.acl import digest_of
from chalicelib.domain.errors import ConflictError
from chalicelib.domain.permissions import Acl
from chalicelib.domain.roles import Role
from chalicelib.engine.ports_access import StoredAcl


class MemoryAccess:
    """One access list, and roles by name."""

    def __init__(self) -> None:
        self._acl = StoredAcl()
        self._roles: dict[str, Role] = {}

    def acl(self) -> StoredAcl:
        return self._acl

    def put_acl(self, acl: Acl | None, expected: str | None) -> StoredAcl:
        wanted = StoredAcl(acl, None if acl is None else digest_of(acl))
        if self._acl.version not in (expected, wanted.version):
            raise ConflictError(
                "the access list was changed at the same time: read it and try again"
            )
        self._acl = wanted
        return wanted

    def roles(self) -> Mapping[str, Role]:
        return dict(self._roles)

    def put_role(self, role: Role) -> None:
        self._roles[role.name] = role

    def drop_role(self, name: str) -> None:
        self._roles.pop(name, None)

    def forget(self) -> None:
        return
