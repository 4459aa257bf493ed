"""Sources, revisions and differences as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from chalicelib.api.bodies import OwnBody, Query
from chalicelib.api.shapes import Limit, MaybeText, Shape, Stamp
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.manifest import Change
from chalicelib.domain.origins import (
    POLL_INTERVAL_S,
    Publication,
    Source,
    SourceKind,
    SourceRecord,
)
from chalicelib.domain.references import is_reference, parse_reference
from chalicelib.settings import folder_roots
from chalicelib.workspaces.git_transport import address_of

Text = Annotated[str, Field(min_length=1, max_length=1_000)]
Keys = Annotated[str, Field(min_length=1, max_length=8_000)]
_SECRETS = ("token", "ssh_key", "hook_secret")


class SourceBody(OwnBody):
    """Where files come from. `token`, `ssh_key` and `hook_secret` are references to secrets.

    `ref` is a branch, a tag or a commit; `host_keys` are what `ssh-keyscan` prints. `lent_to` are
    globs over the workspaces that may use its actions; without it all may.
    """

    kind: Annotated[SourceKind, Field(strict=False)]
    path: Text | None = None
    url: Text | None = None
    ref: Text = "main"
    poll_interval_s: Annotated[int, Field(ge=60, le=86_400)] = POLL_INTERVAL_S
    token: Text | None = None
    username: Text | None = None
    ssh_key: Text | None = None
    host_keys: Keys | None = None
    hook_secret: Text | None = None
    lent_to: Annotated[list[Text], Field(max_length=100)] | None = None

    def wanted(self) -> Source:
        """Return the source.

        Raises:
            InvalidError: it is incomplete, holds a secret in clear, or lies where none may.
        """
        said = self.model_dump()
        for name in _SECRETS:
            _check_secret(name, said[name])
        if self.kind is SourceKind.GIT:
            address_of(self.url or "")
        elif self.url is not None or any(said[name] for name in ("token", "ssh_key")):
            raise InvalidError("`url`, `token` and `ssh_key` are for `kind: git` only")
        if self.kind is SourceKind.FOLDER:
            _check_folder(self.path)
        elif self.path is not None:
            raise InvalidError("`path` is for `kind: folder` only")
        lent_to = None if self.lent_to is None else tuple(self.lent_to)
        return Source(**{**said, "lent_to": lent_to})


class SourceShape(Shape):
    """A source, and what the last look at it found. `trouble` says what is wrong, if anything is.

    `seen` is the commit, or the hash of the files, that was read last.
    """

    name: str
    kind: SourceKind
    path: MaybeText
    url: MaybeText
    ref: MaybeText
    poll_interval_s: int
    token: MaybeText
    username: MaybeText
    ssh_key: MaybeText
    hook_secret: MaybeText
    lent_to: list[str] | None
    seen: str | None
    revision: str | None
    tried_at: Stamp | None
    trouble: MaybeText


class SourceList(Shape):
    """Libraries, by name."""

    items: list[SourceShape]


class HistoryQuery(Query):
    """How many of the newest."""

    limit: Limit = 50


class RevisionRow(Shape):
    """That a revision came into force: how, by whom, and of git which commit it is."""

    revision: str
    at: Stamp
    kind: str
    by: MaybeText
    commit: MaybeText
    author: MaybeText
    message: MaybeText
    in_force: bool


class RevisionList(Shape):
    """What was published, newest first."""

    items: list[RevisionRow]


class RollbackBody(OwnBody):
    """Which revision to put in force again; without it, the one before the present."""

    revision: Text | None = None


class RolledBack(Shape):
    """The revision in force now; `changed` is false where it was already."""

    workspace: str
    revision: str
    changed: bool


class ManifestQuery(Query):
    """Which revision; without one, that in force."""

    revision: str | None = None


class ManifestShape(Shape):
    """A digest of each part of a revision."""

    workspace: str
    revision: str | None
    sections: dict[str, dict[str, str]]


class DiffQuery(Query):
    """Two revisions: without `from` the one before that in force, without `to` that in force."""

    before: str | None = Field(default=None, alias="from")
    after: str | None = Field(default=None, alias="to")


class ChangeShape(Shape):
    """What one section has more, has otherwise, and has no more."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class DiffShape(Shape):
    """How a revision differs from an earlier one, by section."""

    workspace: str
    before: str
    after: str | None
    sections: dict[str, ChangeShape]


class HookHeard(Shape):
    """Whether the source was read at once; else the next tick does."""

    workspace: str
    refreshed: bool


def source_shape(record: SourceRecord, revision: str | None) -> SourceShape:
    """Return the source; its secrets are names, so they are shown."""
    source = record.source
    is_git = source.kind is SourceKind.GIT
    return SourceShape(
        name=record.name,
        kind=source.kind,
        path=source.path,
        url=source.url,
        ref=source.ref if is_git else None,
        poll_interval_s=source.poll_interval_s,
        token=source.token,
        username=source.username,
        ssh_key=source.ssh_key,
        hook_secret=source.hook_secret,
        lent_to=None if source.lent_to is None else list(source.lent_to),
        seen=record.seen,
        revision=revision,
        tried_at=record.tried_at,
        trouble=record.trouble,
    )


def revision_row(one: Publication, in_force: str | None) -> RevisionRow:
    """Return one line of a workspace's history."""
    return RevisionRow(
        revision=one.revision,
        at=one.at,
        kind=one.kind,
        by=one.by,
        commit=one.commit,
        author=one.author,
        message=one.message,
        in_force=one.revision == in_force,
    )


def change_shape(one: Change) -> ChangeShape:
    """Return what changed in one section."""
    return ChangeShape(added=list(one.added), changed=list(one.changed), removed=list(one.removed))


def _check_secret(name: str, text: str | None) -> None:
    if text is None:
        return
    # What is said must not hold what was given: it may be the secret itself.
    if not is_reference(text) or parse_reference(text).on_worker:
        raise InvalidError(
            f"`{name}` is no reference to a secret of the account: keep it in SSM or Secrets "
            f"Manager, and write `{name}: ref+awsssm:///path` or `ref+awssecrets://name`"
        )


def _check_folder(path: str | None) -> None:
    """Refuse a folder outside those that this installation opens: it might hold anything."""
    if path is None:
        raise InvalidError("`kind: folder` needs a `path`")
    found = Path(path).resolve()
    if not any(found.is_relative_to(root.resolve()) for root in folder_roots()):
        raise InvalidError(
            f"the folder {path[:200]!r} is in none of those that workspaces may be read from here "
            "(STROEM_FOLDERS): push it, or name a git repository"
        )
