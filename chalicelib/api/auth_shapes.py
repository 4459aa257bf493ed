"""Log-in, sessions and API keys as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chalicelib.api.bodies import Body, OwnBody
from chalicelib.api.shapes import Shape, Stamp
from chalicelib.domain.credentials import ApiKey

LONGEST_SECRET = 1024
_LONGEST_EMAIL = 320
_MOST_DAYS = 3650

Email = Annotated[str, Field(min_length=1, max_length=_LONGEST_EMAIL)]
Secret = Annotated[str, Field(min_length=1, max_length=LONGEST_SECRET)]


class LoginBody(Body):
    """Who wants in."""

    email: Email
    password: Secret = Field(repr=False)


class RefreshBody(Body):
    """The refresh token of a client without cookies; the cookie comes first."""

    refresh_token: str | None = Field(default=None, max_length=LONGEST_SECRET, repr=False)


class AccessShape(Shape):
    """A token for the header `Authorization: Bearer`, good for 15 minutes."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - its kind
    expires_in: int


class Me(Shape):
    """Who asks, and what he may do wherever the access list lets him."""

    user_id: str
    name: str | None
    email: str
    is_admin: bool
    groups: list[str]
    created_at: Stamp
    roles: list[str]
    permissions: list[str]
    auth_methods: list[str]


class PasswordBody(OwnBody):
    """The password that is, and the one that is to be."""

    old_password: Secret = Field(repr=False)
    new_password: Secret = Field(repr=False)


class ResetBody(OwnBody):
    """A reset token, and the password that is to be."""

    token: Secret = Field(repr=False)
    new_password: Secret = Field(repr=False)


class KeyShape(Shape):
    """A key, without what lets anybody in."""

    prefix: str
    name: str
    created_at: Stamp
    expires_at: Stamp | None
    last_used_at: Stamp | None
    scopes: list[str] | None
    workspaces: list[str] | None


class KeyBody(Body):
    """The key that is wanted; without scopes and workspaces it may what its user may."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    expires_in_days: Annotated[int, Field(gt=0, le=_MOST_DAYS)] | None = None
    scopes: Annotated[list[str], Field(max_length=50)] | None = None
    workspaces: Annotated[list[str], Field(max_length=50)] | None = None


class NewKey(Shape):
    """A key just made: `key` is shown this once."""

    key: str
    name: str
    prefix: str
    expires_at: Stamp | None
    scopes: list[str] | None
    workspaces: list[str] | None


def key_shape(key: ApiKey) -> KeyShape:
    """Return a row of the list."""
    return KeyShape(
        prefix=key.prefix,
        name=key.name,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        **bounds_of(key),
    )


def bounds_of(key: ApiKey) -> dict[str, list[str] | None]:
    """Return what a key is held to; None: to nothing but its user's rights."""
    return {
        "scopes": None if key.scopes is None else sorted(key.scopes),
        "workspaces": None if key.workspaces is None else sorted(key.workspaces),
    }
