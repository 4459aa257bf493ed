"""Routes of users and groups. One rule: nobody gives anybody more than he has himself.

Source: HTTP API, section 4.1.
"""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered, checked_id
from chalicelib.api.shapes import Status
from chalicelib.api.users_shapes import (
    AdminBody,
    DisabledBody,
    GroupsBody,
    GroupsShape,
    ResetShape,
    RolesBody,
    UserBody,
    UserList,
    UserShape,
    UsersQuery,
    user_shape,
)
from chalicelib.auth import resets
from chalicelib.domain.accounts import User
from chalicelib.domain.audit import digest
from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import PermissionDeniedError
from chalicelib.domain.roles import ADMIN, permissions_of
from chalicelib.engine import accounts
from chalicelib.engine.accounts import NewUser

bp = Blueprint(__name__)

_MANAGE = Permission.USER_MANAGE


@bp.route("/users", methods=["GET"])
@answered(
    bp,
    Operation(summary="List the users", answer=UserList, query=UsersQuery, personal=True),
)
def list_users(call: Call) -> UserList:
    query = call.query(UsersQuery)
    part = query.search.strip().lower()
    found = [
        user
        for user in call.engine.accounts.users()
        if part in user.email or part in (user.name or "").lower()
    ]
    page = found[query.offset : query.offset + query.limit]
    return UserList(items=[user_shape(user) for user in page], total=len(found))


@bp.route("/users", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Add a user",
        answer=UserShape,
        body=UserBody,
        errors=(403, 409),
        needs=_MANAGE,
    ),
)
def add_user(call: Call) -> UserShape:
    body = call.body(UserBody)
    if body.is_admin:
        _must_be_admin(call)
    _must_hold(call, body.roles)
    user = accounts.add(
        call.engine,
        NewUser(
            email=body.email,
            name=body.name,
            groups=tuple(body.groups),
            roles=tuple(body.roles),
            is_admin=body.is_admin,
            password=body.password,
        ),
    )
    call.audit(resource=f"user {user.email}", before=digest(None), after=_hash(user))
    return user_shape(user)


@bp.route("/users/{user_id}", methods=["GET"])
@answered(bp, Operation(summary="Show a user", answer=UserShape, errors=(404,), personal=True))
def get_user(call: Call, user_id: str) -> UserShape:
    return user_shape(call.engine.accounts.user(checked_id(user_id, "a user")))


@bp.route("/users/{user_id}", methods=["DELETE"])
@answered(
    bp,
    Operation(
        summary="Remove a user with keys and sessions",
        answer=Status,
        errors=(403, 404, 409),
        needs=_MANAGE,
    ),
)
def delete_user(call: Call, user_id: str) -> Status:
    user = _managed(call, user_id)
    accounts.remove(call.engine, user.user_id)
    _told(call, user, None)
    return Status()


@bp.route("/users/{user_id}/admin", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Make somebody an administrator, or no longer one",
        answer=Status,
        body=AdminBody,
        errors=(403, 404, 409),
        needs=_MANAGE,
    ),
)
def set_user_admin(call: Call, user_id: str) -> Status:
    is_admin = call.body(AdminBody).is_admin
    _must_be_admin(call)
    user = _managed(call, user_id)
    _told(call, user, accounts.set_admin(call.engine, user.user_id, is_admin=is_admin))
    return Status()


@bp.route("/users/{user_id}/disabled", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Shut somebody out, or let him in again",
        answer=Status,
        body=DisabledBody,
        errors=(403, 404, 409),
        needs=_MANAGE,
    ),
)
def set_user_disabled(call: Call, user_id: str) -> Status:
    disabled = call.body(DisabledBody).disabled
    user = _managed(call, user_id)
    _told(call, user, accounts.set_disabled(call.engine, user.user_id, disabled=disabled))
    return Status()


@bp.route("/users/{user_id}/groups", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List the groups of a user", answer=GroupsShape, errors=(404,), personal=True
    ),
)
def get_user_groups(call: Call, user_id: str) -> GroupsShape:
    user = call.engine.accounts.user(checked_id(user_id, "a user"))
    return GroupsShape(groups=list(user.groups))


@bp.route("/users/{user_id}/groups", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Replace the groups of a user",
        answer=Status,
        body=GroupsBody,
        errors=(403, 404),
        needs=_MANAGE,
    ),
)
def set_user_groups(call: Call, user_id: str) -> Status:
    groups = call.body(GroupsBody).groups
    user = _managed(call, user_id)
    _told(call, user, accounts.set_groups(call.engine, user.user_id, groups))
    return Status()


@bp.route("/users/{user_id}/roles", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Replace the roles of a user",
        answer=Status,
        body=RolesBody,
        errors=(403, 404),
        needs=Permission.ROLE_ASSIGN,
    ),
)
def set_user_roles(call: Call, user_id: str) -> Status:
    roles = call.body(RolesBody).roles
    user = _managed(call, user_id)
    _must_hold(call, roles)
    _told(call, user, accounts.set_roles(call.engine, user.user_id, roles))
    return Status()


@bp.route("/users/{user_id}/reset", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Make a token by which the user chooses a password, once, within a day",
        answer=ResetShape,
        errors=(403, 404),
        needs=_MANAGE,
    ),
)
def reset_user(call: Call, user_id: str) -> ResetShape:
    user = _managed(call, user_id)
    reset = resets.issue(call.engine, user.user_id)
    call.audit(resource=f"user {user.email}")
    return ResetShape(token=reset.text, expires_at=reset.expires_at)


@bp.route("/groups", methods=["GET"])
@answered(
    bp, Operation(summary="List the groups that somebody is in", answer=GroupsShape, personal=True)
)
def list_groups(call: Call) -> GroupsShape:
    users = call.engine.accounts.users()
    return GroupsShape(groups=sorted({group for user in users for group in user.groups}))


def _managed(call: Call, user_id: str) -> User:
    """Return the user if the caller may change him: who may more is left alone.

    Raises:
        NotFoundError: there is none.
        PermissionDeniedError: he may more than the caller.
    """
    user = call.engine.accounts.user(checked_id(user_id, "a user"))
    if user.is_admin:
        _must_be_admin(call)
    _must_hold(call, user.roles)
    return user


def _must_hold(call: Call, roles: list[str] | tuple[str, ...]) -> None:
    if not roles:
        return
    for permission in sorted(permissions_of(call.engine.access.roles(), roles)):
        call.rights.hold(permission)


def _must_be_admin(call: Call) -> None:
    if not call.caller.is_admin:
        raise PermissionDeniedError("only an administrator may do this")
    # A key of one may be held to less.
    _must_hold(call, [ADMIN])


def _told(call: Call, before: User, after: User | None) -> None:
    call.audit(
        resource=f"user {before.email}",
        before=_hash(before),
        after=digest(None) if after is None else _hash(after),
    )


def _hash(user: User) -> str:
    shown = [user.email, user.name, user.is_admin, user.disabled]
    return digest([*shown, list(user.groups), list(user.roles)])
