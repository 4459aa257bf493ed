"""The access list and the roles on DynamoDB, in the table `registry`.

A change of the list names the version that it changes: of two at a time one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import Condition

from chalicelib.domain import keys
from chalicelib.domain.acl import digest_of, dump_acl, parse_acl
from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import ConflictError, InvalidError, UnavailableError
from chalicelib.domain.permissions import Acl
from chalicelib.domain.roles import Role
from chalicelib.engine.ports_access import StoredAcl
from chalicelib.store.attributes import TextsAttribute, dumped
from chalicelib.store.dynamo import Item, RefusedError, answering, bind


class AclItem(Item):
    """The list as JSON; without a body it was taken away."""

    body = UnicodeAttribute(null=True)
    version = UnicodeAttribute(null=True)


class RoleItem(Item):
    """A custom role; its name is the sort key."""

    permissions = TextsAttribute()
    description = UnicodeAttribute(null=True)


class AccessTable:
    """Who may do what; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._acl = bind(AclItem, name, region, host)
        self._role = bind(RoleItem, name, region, host)

    def acl(self) -> StoredAcl:
        with answering(self._name):
            try:
                item = self._acl.get(keys.ACL_PK, keys.META, consistent_read=True)
            except self._acl.DoesNotExist:
                return StoredAcl()
        if item.body is None:
            return StoredAcl()
        try:
            return StoredAcl(parse_acl(json.loads(item.body)), item.version)
        except (ValueError, InvalidError) as error:
            # Whoever may do what cannot be told then, so nobody may.
            raise UnavailableError("the stored access list cannot be read: set it anew") from error

    def put_acl(self, acl: Acl | None, expected: str | None) -> StoredAcl:
        wanted = StoredAcl(acl, None if acl is None else digest_of(acl))
        item = self._acl(keys.ACL_PK, keys.META)
        if acl is not None:
            item.body, item.version = dumped(dump_acl(acl)), wanted.version
        is_as_read: Condition = self._acl.version.does_not_exist()
        if expected is not None:
            is_as_read = self._acl.version == expected
        try:
            with answering(self._name):
                item.save(is_as_read)
        except RefusedError:
            self._expect_written(wanted)
        return wanted

    def roles(self) -> Mapping[str, Role]:
        with answering(self._name):
            items = list(self._role.query(keys.ROLES_PK, consistent_read=True))
        return {item.sk: _role_of(item) for item in items}

    def put_role(self, role: Role) -> None:
        item = self._role(keys.ROLES_PK, role.name)
        item.permissions = tuple(sorted(one.value for one in role.permissions))
        item.description = role.description
        with answering(self._name):
            item.save()

    def drop_role(self, name: str) -> None:
        with answering(self._name):
            self._role(keys.ROLES_PK, name).delete()

    def forget(self) -> None:
        return

    def _expect_written(self, wanted: StoredAcl) -> None:
        """Return when the list stands there after all: an earlier try of ours, or its twin.

        Raises:
            ConflictError: something else does.
        """
        if self.acl().version != wanted.version:
            raise ConflictError(
                "the access list was changed at the same time: read it and try again"
            )


def _role_of(item: RoleItem) -> Role:
    known = {one.value for one in Permission}
    return Role(
        name=item.sk,
        # A permission that this version does not know gives nothing.
        permissions=frozenset(Permission(one) for one in item.permissions if one in known),
        description=item.description or "",
    )
