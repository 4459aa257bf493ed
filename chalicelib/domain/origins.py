"""Where the files of workspaces and libraries come from, and what was published when.

The one rule: a source names its tokens and keys by reference; none of them stands in it.
Source: configuration, sections 7.1 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from chalicelib.domain.values import BlobRef

POLL_INTERVAL_S = 60


class Holder(StrEnum):
    """What has a source."""

    WORKSPACE = "workspace"
    LIBRARY = "library"


class SourceKind(StrEnum):
    """How files come."""

    FOLDER = "folder"
    GIT = "git"
    PUSH = "push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where files come from. Fields that do not apply to its kind keep their defaults.

    `ref` is a branch, a tag or a commit. `token`, `ssh_key` and `hook_secret` are references.
    `host_keys` are lines of a `known_hosts` file. `lent_to` are globs over the workspaces that may
    use its actions; None: all.
    """

    kind: SourceKind
    path: str | None = None
    url: str | None = None
    ref: str = "main"
    poll_interval_s: int = POLL_INTERVAL_S
    token: str | None = None
    username: str | None = None
    ssh_key: str | None = None
    host_keys: str | None = None
    hook_secret: str | None = None
    lent_to: tuple[str, ...] | None = None

    def lends_to(self, workspace: str) -> bool:
        """Say whether the other workspace may use the actions of this one."""
        return self.lent_to is None or any(fnmatchcase(workspace, one) for one in self.lent_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """A source, and what the last look at it found.

    `seen` is the commit, or the hash of the files, that was read last, sound or not: `fault` says
    why it did not come into force. `error` says why the last look found nothing at all. Of a
    library, `revision` and `archive` are its files in force.
    """

    holder: Holder
    name: str
    source: Source
    seen: str | None = None
    tried_at: datetime | None = None
    fault: str | None = None
    error: str | None = None
    revision: str | None = None
    archive: BlobRef | None = None

    @property
    def trouble(self) -> str | None:
        """Return what is wrong with the source or with what it holds, if anything is."""
        return self.error or self.fault

    def is_due(self, until: datetime) -> bool:
        """Say whether a poll of it has its time up to `until`."""
        if self.source.kind is not SourceKind.GIT:
            return False
        if self.tried_at is None:
            return True
        return self.tried_at + timedelta(seconds=self.source.poll_interval_s) <= until


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a revision is from: who published it, or which commit it is. See `Publication`."""

    kind: str = SourceKind.PUSH.value
    by: str | None = None
    commit: str | None = None
    author: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """That a revision came into force, and how.

    `kind` is that of the source, or `rollback`, or `library`: one that it uses has changed.
    `commit`, `author` and `message` are those of git.
    """

    workspace: str
    revision: str
    at: datetime
    kind: str
    by: str | None = None
    commit: str | None = None
    author: str | None = None
    message: str | None = None
