"""The access list, roles and audit records as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from chalicelib.api.bodies import OwnBody, Query
from chalicelib.api.shapes import Limit, Shape, Stamp
from chalicelib.domain.acl import dump_acl
from chalicelib.domain.audit import AuditRecord, AuditResult
from chalicelib.domain.roles import BUILT_IN, Role
from chalicelib.engine.audit import AuditPage
from chalicelib.engine.ports_access import StoredAcl

Text = Annotated[str, Field(min_length=1, max_length=256)]


class AclShape(Shape):
    """The access list, null where there is none, and the version that a change of it names."""

    acl: dict[str, Any] | None
    version: str | None


class AclBody(OwnBody):
    """The list that is to be in force; null takes it away. `version` is the one it replaces."""

    acl: Any
    version: str | None = None


class AclCheckQuery(Query):
    """Whose access to what. `groups` are names, by commas."""

    user: Text
    workspace: Text
    task: Text
    groups: str = ""


class AclCheck(Shape):
    """The access: `run`, `view` or `deny`; which rules speak of it, by their numbers from 0."""

    access: str
    rules: list[int]


class RoleShape(Shape):
    """A role, and what who has it may do."""

    name: str
    description: str
    permissions: list[str]
    built_in: bool


class RoleList(Shape):
    """Roles by name, the built-in ones first."""

    items: list[RoleShape]


class RoleBody(OwnBody):
    """What a custom role is to be."""

    permissions: Annotated[list[str], Field(max_length=100)]
    description: str = ""


class AuditQuery(Query):
    """Which records; without `since` those of the last 7 days before `until` (now)."""

    since: datetime | None = None
    until: datetime | None = None
    user: str | None = None
    action: str | None = None
    resource: str | None = None
    result: AuditResult | None = None
    limit: Limit = 50
    cursor: str = ""


class AuditRow(Shape):
    """One record. `before` and `after` are hashes; `chain` and `number` are its place."""

    at: Stamp
    actor: str
    actor_kind: str
    actor_id: str | None
    key_id: str | None
    action: str
    resource: str
    result: AuditResult
    reason: str | None
    before: str | None
    after: str | None
    ip: str | None
    user_agent: str | None
    request_id: str | None
    chain: str
    number: int
    previous: str
    hash: str


class AuditList(Shape):
    """Records, newest first. A page may be short; `next_cursor` is null on the last."""

    items: list[AuditRow]
    next_cursor: str | None


class DayQuery(Query):
    """A day in UTC."""

    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class AuditCheck(Shape):
    """How many records the day has, and which were changed or are missing."""

    day: str
    records: int
    faults: list[str]


def acl_of(stored: StoredAcl) -> AclShape:
    """Return the list as JSON."""
    return AclShape(
        acl=None if stored.acl is None else dump_acl(stored.acl), version=stored.version
    )


def role_shape(role: Role) -> RoleShape:
    """Return the role as JSON."""
    return RoleShape(
        name=role.name,
        description=role.description,
        permissions=sorted(one.value for one in role.permissions),
        built_in=role.name in BUILT_IN,
    )


def audit_list(page: AuditPage, cursor: str | None) -> AuditList:
    """Return a page of records as JSON."""
    return AuditList(items=[_row(one) for one in page.records], next_cursor=cursor)


def _row(record: AuditRecord) -> AuditRow:
    entry = record.entry
    return AuditRow(
        at=record.at,
        **{name: getattr(entry, name) for name in entry.__dataclass_fields__},
        chain=record.chain,
        number=record.number,
        previous=record.previous,
        hash=record.hash,
    )
