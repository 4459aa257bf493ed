"""Users and groups as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chalicelib.api.auth_shapes import Email, Secret
from chalicelib.api.bodies import Body, OwnBody, Query
from chalicelib.api.shapes import Limit, Offset, Shape, Stamp
from chalicelib.domain.accounts import MOST_GROUPS, MOST_ROLES_OF_ONE, User

_DEFAULT_LIMIT = 50

Names = Annotated[list[str], Field(max_length=MOST_GROUPS)]
Roles = Annotated[list[str], Field(max_length=MOST_ROLES_OF_ONE)]


class UserShape(Shape):
    """Somebody who may log in."""

    user_id: str
    name: str | None
    email: str
    is_admin: bool
    groups: list[str]
    roles: list[str]
    disabled: bool
    auth_methods: list[str]
    created_at: Stamp
    last_login_at: Stamp | None


class UserList(Shape):
    """One page, by address."""

    items: list[UserShape]
    total: int


class UsersQuery(Query):
    """Which part of the list; `search` is held against addresses and names."""

    limit: Limit = _DEFAULT_LIMIT
    offset: Offset = 0
    search: Annotated[str, Field(max_length=200)] = ""


class UserBody(Body):
    """Who is to be added; without a password, a provider or a reset lets the user in."""

    email: Email
    name: Annotated[str, Field(max_length=200)] | None = None
    groups: Names = Field(default_factory=list)
    roles: Roles = Field(default_factory=list)
    is_admin: bool = False
    password: Secret | None = Field(default=None, repr=False)


class AdminBody(Body):
    """Whether somebody is an administrator."""

    is_admin: bool


class DisabledBody(OwnBody):
    """Whether somebody is shut out."""

    disabled: bool


class GroupsBody(Body):
    """The groups that somebody is in, all of them."""

    groups: Names


class RolesBody(OwnBody):
    """The roles that somebody has, all of them; none stands for `user`."""

    roles: Roles


class GroupsShape(Shape):
    """Names of groups."""

    groups: list[str]


class ResetShape(Shape):
    """A token by which the user chooses a password once: hand it on, it is not shown again."""

    token: str
    expires_at: Stamp


def user_shape(user: User) -> UserShape:
    """Return what is shown of a user."""
    return UserShape(
        user_id=user.user_id,
        name=user.name,
        email=user.email,
        is_admin=user.is_admin,
        groups=list(user.groups),
        roles=list(user.roles),
        disabled=user.disabled,
        auth_methods=user.auth_methods,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
    )
