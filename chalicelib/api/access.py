"""Routes of who may do what: the access list, roles, and the audit of what was done.

One rule: nobody can hand out a permission that he has not. Source: configuration, section 7.3.
"""

from __future__ import annotations

import json
from datetime import MAXYEAR, UTC, datetime, timedelta

from chalice.app import Blueprint

from chalicelib.api.access_shapes import (
    AclBody,
    AclCheck,
    AclCheckQuery,
    AclShape,
    AuditCheck,
    AuditList,
    AuditQuery,
    DayQuery,
    RoleBody,
    RoleList,
    RoleShape,
    acl_of,
    audit_list,
    role_shape,
)
from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.pages import opened, sealed
from chalicelib.api.shapes import Status
from chalicelib.domain.acl import parse_acl
from chalicelib.domain.audit import AuditFilter
from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.roles import role_of
from chalicelib.engine import access_rules, audit

bp = Blueprint(__name__)

SHOWN = timedelta(days=7)
FIRST_YEAR = 1970


@bp.route("/acl", methods=["GET"])
@answered(
    bp,
    Operation(summary="Show the access list", answer=AclShape, needs=Permission.SYSTEM_CONFIG),
)
def get_acl(call: Call) -> AclShape:
    return acl_of(call.engine.access.acl())


@bp.route("/acl", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Replace the access list, or take it away",
        answer=AclShape,
        body=AclBody,
        errors=(409,),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def put_acl(call: Call) -> AclShape:
    body = call.body(AclBody)
    acl = None if body.acl is None else parse_acl(body.acl)
    change = access_rules.set_acl(call.engine, acl, body.version)
    call.audit(**change.told)
    return acl_of(change.stored)


@bp.route("/acl/check", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Tell which access somebody has to a task, and by which rules",
        answer=AclCheck,
        query=AclCheckQuery,
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def check_acl(call: Call) -> AclCheck:
    query = call.query(AclCheckQuery)
    groups = frozenset(name for name in map(str.strip, query.groups.split(",")) if name)
    who = access_rules.somebody(call.engine, query.user, groups)
    found, rules = access_rules.explain(call.engine, who, query.workspace, query.task)
    return AclCheck(access=found.word, rules=rules)


@bp.route("/roles", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List the roles, built in and custom",
        answer=RoleList,
        needs=Permission.ROLE_ASSIGN,
    ),
)
def list_roles(call: Call) -> RoleList:
    return RoleList(items=[role_shape(role) for role in access_rules.all_roles(call.engine)])


@bp.route("/roles/{role}", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Write or replace a custom role",
        answer=RoleShape,
        body=RoleBody,
        needs=Permission.ROLE_ASSIGN,
    ),
)
def put_role(call: Call, role: str) -> RoleShape:
    body = call.body(RoleBody)
    wanted = role_of(role, body.permissions, body.description)
    for permission in sorted(wanted.permissions):
        call.rights.hold(permission)
    call.audit(**access_rules.set_role(call.engine, wanted))
    return role_shape(wanted)


@bp.route("/roles/{role}", methods=["DELETE"])
@answered(
    bp,
    Operation(
        summary="Remove a custom role; who has it loses what it gave",
        answer=Status,
        errors=(404,),
        needs=Permission.ROLE_ASSIGN,
    ),
)
def delete_role(call: Call, role: str) -> Status:
    call.audit(**access_rules.remove_role(call.engine, role))
    return Status()


@bp.route("/audit", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List what was done, newest first",
        answer=AuditList,
        query=AuditQuery,
        needs=Permission.SYSTEM_AUDIT,
    ),
)
def list_audit(call: Call) -> AuditList:
    query = call.query(AuditQuery)
    list_key = json.dumps(["audit", query.user, query.action, query.resource, query.result])
    after, until, since = _place(call, query, list_key)
    wanted = AuditFilter(
        since=since,
        until=until,
        actor=query.user,
        action=query.action,
        resource=query.resource,
        result=query.result,
    )
    page = audit.audit_page(call.engine, wanted, after, query.limit)
    if page.next is None:
        return audit_list(page, None)
    day, place = page.next
    parts = (day, place or "", until.isoformat(), since.isoformat())
    return audit_list(page, sealed(parts, list_key))


@bp.route("/audit/check", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Tell whether a day's records are as they were written",
        answer=AuditCheck,
        query=DayQuery,
        needs=Permission.SYSTEM_AUDIT,
    ),
)
def check_audit(call: Call) -> AuditCheck:
    day = call.query(DayQuery).day
    count, faults = audit.check_day(call.engine, day)
    return AuditCheck(day=day, records=count, faults=faults)


Place = tuple[str, str | None]


def _place(
    call: Call, query: AuditQuery, list_key: str
) -> tuple[Place | None, datetime, datetime]:
    """Return where to go on, and the span: that of the first page, which the cursor keeps."""
    if query.cursor:
        day, place, until, since = opened(query.cursor, list_key)
        return (
            (day, place or None),
            datetime.fromisoformat(until),
            datetime.fromisoformat(since),
        )
    until_at = _utc(query.until) or call.engine.clock.now() + timedelta(microseconds=1)
    return None, until_at, _utc(query.since) or until_at - SHOWN


def _utc(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    if not FIRST_YEAR <= at.year < MAXYEAR:
        # At the ends of the calendar there is no room for a span or for another zone.
        raise InvalidError(f"the years are {FIRST_YEAR} to {MAXYEAR - 1}")
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
