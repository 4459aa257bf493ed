"""Groups of workers, and what a caller that shows one of their tokens may speak for.

One rule: what a group may serve never changes; another scope is another group. So what a session
was given at its start stays true until the group is revoked.
Source: security, S15.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

LIVE_TOKENS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerToken:
    """One enrolment token; `digest` is the SHA-256 of its secret part, which nothing keeps."""

    token_id: str
    digest: str
    created_at: datetime
    expires_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Say whether the token still lets workers in."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What workers may be given, by names or globs; None: all."""

    pools: tuple[str, ...] | None = None
    workspaces: tuple[str, ...] | None = None

    @property
    def has_all_workspaces(self) -> bool:
        """Say whether no step and no file is kept from the workers."""
        return self.workspaces is None

    def has_workspace(self, name: str) -> bool:
        """Say whether the workspace's steps and files may be given out."""
        return self.workspaces is None or any(fnmatchcase(name, one) for one in self.workspaces)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerGroup:
    """Workers that share tokens. `group_id` is not given again, a revoked group's name may be."""

    group_id: str
    name: str
    created_at: datetime
    scope: Scope = EVERYTHING
    capabilities: tuple[str, ...] | None = None
    tokens: tuple[WorkerToken, ...] = ()
    revoked_at: datetime | None = None

    def live_tokens(self, now: datetime) -> tuple[WorkerToken, ...]:
        """Return the tokens that let workers in now."""
        if self.revoked_at is not None:
            return ()
        return tuple(token for token in self.tokens if token.is_live(now))

    def allowed(self, capabilities: Iterable[str]) -> tuple[str, ...]:
        """Return those of the capabilities that the group's workers may offer."""
        known = self.capabilities
        return tuple(one for one in capabilities if known is None or one in known)

    def revoked(self, now: datetime) -> WorkerGroup:
        """Return the group without any token, for good."""
        return replace(self, tokens=(), revoked_at=self.revoked_at or now)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPass:
    """What a caller of the worker routes proved.

    Without a group it has shown the installation's one token, and is trusted with every session.
    Without a session it may speak for all sessions of its group.
    """

    group: WorkerGroup | None = None
    token_id: str | None = None
    session: str | None = None

    @property
    def scope(self) -> Scope:
        """Return what its workers may be given."""
        return self.group.scope if self.group else EVERYTHING


ANY_WORKER = WorkerPass()
