"""Worker groups and their tokens, as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from chalicelib.api.bodies import OwnBody
from chalicelib.api.shapes import Shape, Stamp
from chalicelib.auth.worker_tokens import IssuedToken
from chalicelib.domain.worker_groups import Scope, WorkerGroup, WorkerToken
from chalicelib.engine.worker_groups import NewGroup

Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=100)]


class GroupBody(OwnBody):
    """A new group. What is left out is not limited; `pools` and `workspaces` may be globs."""

    name: str
    pools: Names | None = None
    workspaces: Names | None = None
    capabilities: Names | None = None

    def wanted(self) -> NewGroup:
        """Return the wish as the engine knows it."""
        scope = Scope(pools=_names(self.pools), workspaces=_names(self.workspaces))
        return NewGroup(name=self.name, scope=scope, capabilities=_names(self.capabilities))


class TokenBody(OwnBody):
    """A new token; without `expires_at` it is good until it is taken away."""

    expires_at: Annotated[datetime, Field(strict=False)] | None = None

    def until(self) -> datetime | None:
        """Return when it expires; a time without a zone is UTC."""
        given = self.expires_at
        return given.replace(tzinfo=UTC) if given and given.tzinfo is None else given


class TokenShape(Shape):
    """What is known of a token; its text is not."""

    token_id: str
    created_at: Stamp
    expires_at: Stamp | None


class GroupShape(Shape):
    """A group; null stands for all. A revoked one lets nobody in."""

    group_id: str
    name: str
    pools: list[str] | None
    workspaces: list[str] | None
    capabilities: list[str] | None
    created_at: Stamp
    revoked_at: Stamp | None
    tokens: list[TokenShape]


class GroupList(Shape):
    """All groups, by name."""

    items: list[GroupShape]
    total: int


class IssuedShape(TokenShape):
    """A new token. `token` is shown this once."""

    group: str
    token: str


def group_shape(group: WorkerGroup) -> GroupShape:
    """Return a group as people see it."""
    return GroupShape(
        group_id=group.group_id,
        name=group.name,
        pools=_listed(group.scope.pools),
        workspaces=_listed(group.scope.workspaces),
        capabilities=_listed(group.capabilities),
        created_at=group.created_at,
        revoked_at=group.revoked_at,
        tokens=[_token(one) for one in group.tokens],
    )


def issued_shape(issued: IssuedToken) -> IssuedShape:
    """Return a new token, with its text."""
    shown = _token(issued.token).model_dump()
    return IssuedShape(**shown, group=issued.group.name, token=issued.text)


def _token(token: WorkerToken) -> TokenShape:
    return TokenShape(
        token_id=token.token_id, created_at=token.created_at, expires_at=token.expires_at
    )


def _names(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _listed(given: tuple[str, ...] | None) -> list[str] | None:
    return None if given is None else list(given)
