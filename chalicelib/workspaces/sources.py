"""Look at where workspaces and libraries come from, and publish what is new there.

The one rule: a look is claimed by a conditional write first, so that of two at a time one reads;
what is broken is said beside the revision in force, which stays.
Source: configuration, section 8.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from chalicelib.domain import keys
from chalicelib.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    StroemError,
    TooLargeError,
)
from chalicelib.domain.origins import Holder, Origin, SourceKind, SourceRecord
from chalicelib.domain.reading import read_workspace, spelled
from chalicelib.domain.references import parse_reference, part_of
from chalicelib.domain.sources import WorkspaceTree
from chalicelib.domain.workflow import Finding
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import load_blob, store_blob
from chalicelib.workspaces.folder import read_folder
from chalicelib.workspaces.git import Git, GitAccess, RemoteGit
from chalicelib.workspaces.publish import publish
from chalicelib.workspaces.revision import content_hash
from chalicelib.workspaces.tarball import pack, unpack

# In whose name secrets of sources are read. No workspace can be called so, so none reads them.
SECRETS_OF = "_git"
# So long the tick may take for looks that were not asked for.
POLLING = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found: the revision in force now, whether it is a new one, and the faults."""

    revision: str | None
    changed: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Polled:
    """What one pass over all sources did."""

    looked: int = 0
    changed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """Files to publish, what they are known by, and where they are from."""

    seen: str
    tree: WorkspaceTree
    origin: Origin


def poll(engine: Engine, until: datetime, git: Git | None = None) -> Polled:
    """Look at every source whose time comes up to `until`; one's fault stops no other."""
    done = Polled()
    stop = engine.clock.now() + POLLING
    for record in engine.sources.all():
        if not record.is_due(until) or engine.clock.now() > stop:
            continue
        done.looked += 1
        try:
            done.changed += look(engine, record, git).changed
        except ConflictError:
            # Another tick looks at it.
            continue
        except StroemError:
            done.failed += 1
    return done


def look(engine: Engine, record: SourceRecord, git: Git | None = None) -> Looked:
    """Publish what the source holds now, if that is not what was read last.

    Raises:
        ConflictError: somebody else looks at it.
        StroemError: the source did not answer, or what it holds cannot be kept.
    """
    tried = replace(record, tried_at=engine.clock.now())
    engine.sources.put(tried, record)
    try:
        found = _read(engine, tried, git or RemoteGit())
    except StroemError as error:
        _settle(engine, tried, replace(tried, error=error.message))
        raise
    if found is None:
        _settle(engine, tried, replace(tried, error=None))
        return Looked(_in_force(engine, record))
    publisher = _publish_library if record.holder is Holder.LIBRARY else _publish_workspace
    return publisher(engine, tried, found)


def refresh_all_users(engine: Engine, library: str) -> None:
    """Publish the sound workspaces again with the libraries of now; none keeps another back."""
    origin = Origin(kind="library", message=f"library {library} changed")
    for record in engine.registry.workspaces():
        if record.revision is None or record.error is not None:
            continue
        with suppress(StroemError):
            archive = engine.registry.revision(record.name, record.revision).archive
            publish(engine, record.name, unpack(load_blob(engine.blobs, archive)), None, origin)


def secret_of(engine: Engine, text: str | None) -> str | None:
    """Return what a reference of a source stands for: a secret that no workflow can read.

    Raises:
        InvalidError: it is none that can be resolved here, or there is nothing there.
        UnavailableError: where secrets live did not answer.
    """
    if text is None:
        return None
    reference = parse_reference(text)
    if reference.on_worker:
        raise InvalidError(f"{text} is known to workers only: name a secret of the account")
    try:
        return part_of(reference, engine.secrets.fetch(reference, SECRETS_OF))
    except NotFoundError as error:
        raise InvalidError(error.message) from None


def _read(engine: Engine, record: SourceRecord, git: Git) -> _Found | None:
    """Return what the source holds; None where it is what was read last, or nothing is read."""
    source = record.source
    if source.kind is SourceKind.FOLDER:
        tree = read_folder(Path(source.path or ""))
        return _Found(content_hash(tree), tree, Origin(kind=source.kind.value))
    if source.kind is SourceKind.PUSH:
        return None
    access = GitAccess(
        url=source.url or "",
        ref=source.ref,
        username=source.username,
        token=secret_of(engine, source.token),
        ssh_key=secret_of(engine, source.ssh_key),
        host_keys=source.host_keys,
    )
    commit = git.head(access)
    if commit == record.seen:
        return None
    try:
        checkout = git.checkout(access, commit)
    except (InvalidError, TooLargeError) as error:
        # It will be no better until there is another commit.
        _settle(engine, record, replace(record, seen=commit, fault=error.message, error=None))
        raise
    origin = Origin(
        kind=source.kind.value,
        commit=checkout.commit,
        author=checkout.author,
        message=checkout.message,
    )
    return _Found(commit, checkout.tree, origin)


def _publish_workspace(engine: Engine, record: SourceRecord, found: _Found) -> Looked:
    folder = record.source.path
    published = publish(engine, record.name, found.tree, folder, found.origin)
    faults = [spelled(finding) for finding in published.findings]
    fault = None if published.ok else faults[0]
    _settle(engine, record, replace(record, seen=found.seen, fault=fault, error=None))
    return Looked(published.revision, published.changed, published.findings)


def _publish_library(engine: Engine, record: SourceRecord, found: _Found) -> Looked:
    loaded = read_workspace(found.tree)
    settled = replace(record, seen=found.seen, error=None)
    if not loaded.ok:
        _settle(engine, record, replace(settled, fault=spelled(loaded.errors[0])))
        return Looked(record.revision, findings=loaded.findings)
    revision = content_hash(found.tree)
    key = keys.library_blob(record.name, revision)
    archive = store_blob(engine.blobs, key, pack(found.tree))
    _settle(engine, record, replace(settled, fault=None, revision=revision, archive=archive))
    changed = revision != record.revision
    if changed:
        refresh_all_users(engine, record.name)
    return Looked(revision, changed, loaded.findings)


def _settle(engine: Engine, tried: SourceRecord, settled: SourceRecord) -> None:
    # Who changed the source meanwhile has it looked at again.
    with suppress(ConflictError):
        engine.sources.put(settled, tried)


def _in_force(engine: Engine, record: SourceRecord) -> str | None:
    if record.holder is Holder.LIBRARY:
        return record.revision
    try:
        return engine.registry.workspace(record.name).revision
    except NotFoundError:
        return None


class SourceRefresher:
    """Brings a workspace up to what its source holds; see `engine.ports_schedules.Refresher`."""

    def __init__(self, engine: Engine, git: Git | None = None) -> None:
        self._engine = engine
        self._git = git

    def refresh(self, workspace: str) -> None:
        record = self._engine.sources.get(Holder.WORKSPACE, workspace)
        if record is not None:
            look(self._engine, record, self._git)
            return
        folder = self._engine.registry.workspace(workspace).source
        if folder is not None and Path(folder).is_dir():
            origin = Origin(kind=SourceKind.FOLDER.value)
            publish(self._engine, workspace, read_folder(Path(folder)), folder, origin)
