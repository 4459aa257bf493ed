"""Make a workspace's files a revision, and put it in force if it is sound.

A broken workspace never replaces a good revision: its faults are shown beside it.
Source: decision 6; workflow language, section 1.1.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.domain import keys
from chalicelib.domain.dump import dump
from chalicelib.domain.errors import InvalidError, NotFoundError, StroemError
from chalicelib.domain.libraries import own_files, with_files
from chalicelib.domain.names import is_workspace_name
from chalicelib.domain.origins import Origin, Publication
from chalicelib.domain.reading import Loaded, read_workspace, spelled
from chalicelib.domain.sources import WorkspaceTree
from chalicelib.domain.workflow import INLINE_PREFIX, Definition, Finding, Severity
from chalicelib.domain.workspace import Revision, WorkspaceRecord
from chalicelib.engine import schedules
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import store_blob
from chalicelib.engine.ports_webhooks import HookEntry
from chalicelib.engine.webhook_index import announce, retire
from chalicelib.workspaces.library_files import libraries_of
from chalicelib.workspaces.revision import content_hash
from chalicelib.workspaces.tarball import pack

PUSHED = Origin()


@dataclass(frozen=True, slots=True)
class Published:
    """What came of it: the revision in force now (None: there never was a good one)."""

    revision: str | None
    changed: bool
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Say whether the files are sound, so that `revision` is theirs."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def publish(
    engine: Engine,
    workspace: str,
    tree: WorkspaceTree,
    source: str | None = None,
    origin: Origin = PUSHED,
) -> Published:
    """Publish the files as the workspace's newest revision; unchanged content changes nothing.

    `source` is the folder that a later refresh reads again.

    Raises:
        InvalidError: the workspace's name cannot be one.
        ConflictError: somebody else published at the same moment.
    """
    if not is_workspace_name(workspace):
        raise InvalidError(
            f"{workspace!r} cannot name a workspace: letters, digits, `_` and `-`, at most 64"
        )
    before = _existing(engine, workspace)
    libraries = libraries_of(engine)
    loaded = read_workspace(own_files(tree), libraries)
    tree = with_files(own_files(tree), libraries)
    record = before or WorkspaceRecord(name=workspace)
    record = replace(record, source=source or record.source, tried_at=engine.clock.now())
    revision = record.revision
    left: list[HookEntry] = []
    if loaded.definition is None or not loaded.ok:
        record = replace(record, error=_error(loaded), warnings=())
    else:
        revision = content_hash(tree)
        if revision != record.revision:
            _store(engine, workspace, revision, tree, loaded.definition)
            left = announce(engine, workspace, loaded.definition, _in_force_of(engine, before))
        record = _in_force(record, revision, loaded, loaded.definition)
    engine.registry.put_workspace(record, before)
    retire(engine, left)
    with suppress(StroemError):
        # What is not written now, the next tick writes.
        schedules.reconcile(engine, workspace)
    changed = revision != (before.revision if before else None)
    if changed and revision is not None:
        _note(engine, workspace, revision, origin)
    return Published(revision, changed, loaded.findings)


def put_back(engine: Engine, workspace: str, revision: str, origin: Origin) -> Published:
    """Put an earlier revision of the workspace in force again, as it was.

    Raises:
        NotFoundError: no such workspace or revision.
        ConflictError: somebody else published at the same moment.
    """
    before = engine.registry.workspace(workspace)
    definition = engine.definitions.load(workspace, revision)
    if before.revision == revision:
        return Published(revision, changed=False, findings=())
    left = announce(engine, workspace, definition, _in_force_of(engine, before))
    record = replace(before, tried_at=engine.clock.now())
    record = _in_force(record, revision, Loaded(definition, ()), definition)
    engine.registry.put_workspace(record, before)
    retire(engine, left)
    with suppress(StroemError):
        schedules.reconcile(engine, workspace)
    _note(engine, workspace, revision, origin)
    return Published(revision, changed=True, findings=())


def _note(engine: Engine, workspace: str, revision: str, origin: Origin) -> None:
    engine.sources.note(
        Publication(
            workspace=workspace,
            revision=revision,
            at=engine.clock.now(),
            kind=origin.kind,
            by=origin.by,
            commit=origin.commit,
            author=origin.author,
            message=origin.message,
        )
    )


def _in_force_of(engine: Engine, record: WorkspaceRecord | None) -> Definition | None:
    """Return the definition in force; None if there is none, or none that is read any more."""
    if record is None or record.revision is None:
        return None
    try:
        return engine.definitions.load(record.name, record.revision)
    except (NotFoundError, InvalidError):
        return None


def _existing(engine: Engine, workspace: str) -> WorkspaceRecord | None:
    try:
        return engine.registry.workspace(workspace)
    except NotFoundError:
        return None


def _store(
    engine: Engine, workspace: str, revision: str, tree: WorkspaceTree, definition: Definition
) -> None:
    """Write definition and files first, then the record that makes them a revision."""
    parsed = json.dumps(dump(definition), separators=(",", ":")).encode()
    engine.registry.put_revision(
        Revision(
            workspace=workspace,
            revision=revision,
            definition=store_blob(engine.blobs, keys.definition_blob(workspace, revision), parsed),
            archive=store_blob(engine.blobs, keys.archive_blob(workspace, revision), pack(tree)),
            created_at=engine.clock.now(),
        )
    )


def _in_force(
    record: WorkspaceRecord, revision: str, loaded: Loaded, definition: Definition
) -> WorkspaceRecord:
    return replace(
        record,
        revision=revision,
        error=None,
        warnings=tuple(spelled(finding) for finding in loaded.findings),
        tasks_count=len(definition.tasks),
        actions_count=sum(not key.startswith(INLINE_PREFIX) for key in definition.actions),
        triggers_count=len(definition.triggers),
        connections_count=len(definition.connections),
    )


def _error(loaded: Loaded) -> str:
    errors = [finding for finding in loaded.findings if finding.severity is Severity.ERROR]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return spelled(errors[0]) + more if errors else "the workspace holds no definition"
