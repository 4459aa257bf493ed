"""Worker groups: made, given tokens, revoked; and who shows one of their tokens.

One rule: a group, or a token, that was taken away lets nobody in after `KEPT` at the latest.
Source: security, S15.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.domain.worker_groups import LIVE_TOKENS, Scope, WorkerGroup, WorkerToken
from chalicelib.engine.engine import Engine
from chalicelib.engine.ports import Clock
from chalicelib.engine.ports_worker_groups import WorkerGroups

KEPT = timedelta(seconds=5)
MOST_GROUPS = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class KeptWorkerGroups:
    """Another place's groups, read again every few seconds: every report of a worker asks."""

    def __init__(self, place: WorkerGroups, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._found: tuple[datetime, list[WorkerGroup]] | None = None

    def groups(self) -> list[WorkerGroup]:
        at, found = self._clock.now(), self._found
        if found is None or not timedelta() <= at - found[0] < KEPT:
            found = self._found = (at, self._place.groups())
        return found[1]

    def group(self, name: str) -> WorkerGroup:
        return self._place.group(name)

    def put(self, group: WorkerGroup, expected: WorkerGroup | None) -> None:
        # Forgotten before and after: a write whose reply was lost may have happened.
        self._found = None
        self._place.put(group, expected)
        self._found = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """A wish for a group."""

    name: str
    scope: Scope
    capabilities: tuple[str, ...] | None = None


def create(engine: Engine, new: NewGroup) -> WorkerGroup:
    """Make a group without a token. A revoked group's name may be used again.

    Raises:
        InvalidError: the name is none, or something that is listed is empty.
        ConflictError: there is a group of that name, or there are too many.
    """
    _check(new)
    known = engine.worker_groups.groups()
    old = next((group for group in known if group.name == new.name), None)
    if old is not None and old.revoked_at is None:
        raise ConflictError(
            f"there is a worker group {new.name!r} already: what it may serve does not change, so "
            "revoke it first, or take another name"
        )
    if old is None and len(known) >= MOST_GROUPS:
        raise ConflictError(f"there are {MOST_GROUPS} worker groups already: revoke some")
    group = WorkerGroup(
        group_id=engine.ids.job_id(),
        name=new.name,
        created_at=engine.clock.now(),
        scope=new.scope,
        capabilities=new.capabilities,
    )
    engine.worker_groups.put(group, old)
    return group


def revoke(engine: Engine, name: str) -> WorkerGroup:
    """Take all of a group's tokens away for good. A repeat changes nothing.

    Raises:
        NotFoundError: no such group.
    """
    return _change(engine, name, lambda group: group.revoked(engine.clock.now()))


def add_token(
    engine: Engine, name: str, digest: str, expires_at: datetime | None
) -> tuple[WorkerGroup, WorkerToken]:
    """Give the group another token; expired ones go.

    Raises:
        NotFoundError: no such group.
        InvalidError: the token would have expired already.
        ConflictError: the group was revoked, or has two live tokens.
    """
    now = engine.clock.now()
    token = WorkerToken(
        token_id=engine.ids.nonce(), digest=digest, created_at=now, expires_at=expires_at
    )
    if not token.is_live(now):
        raise InvalidError("a token must expire in the future")

    def added(group: WorkerGroup) -> WorkerGroup:
        live = group.live_tokens(now)
        if group.revoked_at is not None:
            raise ConflictError(f"worker group {name!r} was revoked: make another one")
        if len(live) >= LIVE_TOKENS:
            raise ConflictError(
                f"worker group {name!r} has {LIVE_TOKENS} live tokens, the old one and the new: "
                "take one away first"
            )
        return replace(group, tokens=(*live, token))

    return _change(engine, name, added), token


def drop_token(engine: Engine, name: str, token_id: str) -> WorkerGroup:
    """Take one token away, and with it all that was given for it.

    Raises:
        NotFoundError: no such group, or it has no such token.
    """

    def dropped(group: WorkerGroup) -> WorkerGroup:
        left = tuple(token for token in group.tokens if token.token_id != token_id)
        if len(left) == len(group.tokens):
            raise NotFoundError(f"worker group {name!r} has no token {token_id!r}")
        return replace(group, tokens=left)

    return _change(engine, name, dropped)


def live_token(engine: Engine, token_id: str) -> tuple[WorkerGroup, WorkerToken] | None:
    """Return the token of that id and its group; None when it lets nobody in (any more)."""
    now = engine.clock.now()
    for group in engine.worker_groups.groups():
        for token in group.live_tokens(now):
            if token.token_id == token_id:
                return group, token
    return None


def _change(
    engine: Engine, name: str, change: Callable[[WorkerGroup], WorkerGroup]
) -> WorkerGroup:
    group = engine.worker_groups.group(name)
    changed = change(group)
    if changed != group:
        engine.worker_groups.put(changed, group)
    return changed


def _check(new: NewGroup) -> None:
    if not _NAME.fullmatch(new.name):
        raise InvalidError(
            f"{new.name[:80]!r} is no name of a worker group: up to 64 letters, digits, and `_`, "
            "`.`, `-` behind the first"
        )
    for kind, listed in (
        ("pools", new.scope.pools),
        ("workspaces", new.scope.workspaces),
        ("capabilities", new.capabilities),
    ):
        if listed is not None and (not listed or not all(listed)):
            raise InvalidError(f"{kind}: name at least one, or leave it out for all")
