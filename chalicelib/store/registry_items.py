"""Items of the table `registry`: workspaces, revisions, workers, names, to the domain and back.

The sort key is the thing's own name, so it stands nowhere else in the item.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute

from chalicelib.domain import keys
from chalicelib.domain.worker import WorkerRecord, WorkerStatus
from chalicelib.domain.worker_groups import Scope
from chalicelib.domain.workspace import Revision, WorkspaceRecord
from chalicelib.store.attributes import (
    BlobRefAttribute,
    InstantAttribute,
    StepRefsAttribute,
    TextsAttribute,
    dumped,
)
from chalicelib.store.dynamo import Item

WORKER_KEPT = timedelta(days=7)
_MAX_ERROR = 4_000
_MAX_WARNINGS = 12_000


class WorkspaceItem(Item):
    """A workspace. `digest` stands for the whole record, so that writers can compare."""

    digest = UnicodeAttribute()
    revision = UnicodeAttribute(null=True)
    tried_at = InstantAttribute(null=True)
    source = UnicodeAttribute(null=True)
    error = UnicodeAttribute(null=True)
    warnings = TextsAttribute(null=True)
    tasks_count = NumberAttribute(default=0)
    actions_count = NumberAttribute(default=0)
    triggers_count = NumberAttribute(default=0)
    connections_count = NumberAttribute(default=0)


class RevisionItem(Item):
    """A revision: immutable."""

    definition = BlobRefAttribute()
    archive = BlobRefAttribute()
    created_at = InstantAttribute()


class WorkerItem(Item):
    """A worker's session; the table forgets it a week after its last heartbeat.

    `silenced_by` is the nonce of the sweep that found it dead.
    """

    name = UnicodeAttribute()
    status = UnicodeAttribute()
    capabilities = TextsAttribute()
    tags = TextsAttribute()
    exclusive = BooleanAttribute()
    version = UnicodeAttribute(null=True)
    registered_at = InstantAttribute()
    last_heartbeat = InstantAttribute()
    running = StepRefsAttribute(null=True)
    silenced_by = UnicodeAttribute(null=True)
    group = UnicodeAttribute(null=True)
    pools = TextsAttribute(null=True)
    workspaces = TextsAttribute(null=True)
    expires = TTLAttribute()


class NamedItem(Item):
    """Something that is there or not: a pool, a paused task. Its keys say everything."""


def workspace_values(record: WorkspaceRecord) -> dict[str, Any]:
    """Return the attributes of a workspace's item; texts too long for one are cut."""
    kept = fitted(record)
    given = {
        "pk": keys.WORKSPACES_PK,
        "sk": kept.name,
        "digest": digest(record),
        "revision": kept.revision,
        "tried_at": kept.tried_at,
        "source": kept.source,
        "error": kept.error,
        "warnings": kept.warnings or None,
        "tasks_count": kept.tasks_count,
        "actions_count": kept.actions_count,
        "triggers_count": kept.triggers_count,
        "connections_count": kept.connections_count,
    }
    return {name: value for name, value in given.items() if value is not None}


def workspace_of(item: WorkspaceItem) -> WorkspaceRecord:
    """Return the workspace that the item is."""
    return WorkspaceRecord(
        name=item.sk,
        revision=item.revision,
        tried_at=item.tried_at,
        source=item.source,
        error=item.error,
        warnings=item.warnings or (),
        tasks_count=int(item.tasks_count),
        actions_count=int(item.actions_count),
        triggers_count=int(item.triggers_count),
        connections_count=int(item.connections_count),
    )


def fitted(record: WorkspaceRecord) -> WorkspaceRecord:
    """Return the record with its texts cut to what an item may hold; a cut one stays as it is."""
    error = record.error
    if error is not None and len(error) > _MAX_ERROR:
        error = error[: _MAX_ERROR - 1] + "…"
    kept: list[str] = []
    room = _MAX_WARNINGS
    for warning in record.warnings:
        room -= len(warning)
        if room < 0:
            kept.append("…")
            break
        kept.append(warning)
    return replace(record, error=error, warnings=tuple(kept))


def digest(record: WorkspaceRecord) -> str:
    """Return a hash that two records share only when they are equal as they are kept."""
    kept = fitted(record)
    tried_at = None if kept.tried_at is None else kept.tried_at.isoformat()
    parts = [kept.name, kept.revision, tried_at, kept.source, kept.error, list(kept.warnings)]
    counts = [kept.tasks_count, kept.actions_count, kept.triggers_count, kept.connections_count]
    return sha256(dumped([*parts, *counts]).encode()).hexdigest()[:32]


def revision_item(kind: type[RevisionItem], revision: Revision) -> RevisionItem:
    """Return the item of a revision."""
    return kind(
        keys.revisions_pk(revision.workspace),
        revision.revision,
        definition=revision.definition,
        archive=revision.archive,
        created_at=revision.created_at,
    )


def revision_of(item: RevisionItem, workspace: str) -> Revision:
    """Return the revision that the item is."""
    return Revision(
        workspace=workspace,
        revision=item.sk,
        definition=item.definition,
        archive=item.archive,
        created_at=item.created_at,
    )


def worker_item(kind: type[WorkerItem], record: WorkerRecord) -> WorkerItem:
    """Return the item of a worker's session."""
    item = kind(
        keys.WORKERS_PK,
        record.worker_id,
        name=record.name,
        status=record.status.value,
        capabilities=record.capabilities,
        tags=record.tags,
        exclusive=record.exclusive,
        registered_at=record.registered_at,
        last_heartbeat=record.last_heartbeat,
        expires=record.last_heartbeat + WORKER_KEPT,
    )
    if record.version is not None:
        item.version = record.version
    if record.group is not None:
        item.group = record.group
    if record.scope.pools is not None:
        item.pools = record.scope.pools
    if record.scope.workspaces is not None:
        item.workspaces = record.scope.workspaces
    if record.running is not None:
        item.running = record.running
    return item


def worker_of(item: WorkerItem) -> WorkerRecord:
    """Return the session that the item is."""
    return WorkerRecord(
        worker_id=item.sk,
        name=item.name,
        status=WorkerStatus(item.status),
        capabilities=item.capabilities,
        tags=item.tags,
        exclusive=item.exclusive,
        version=item.version,
        registered_at=item.registered_at,
        last_heartbeat=item.last_heartbeat,
        running=item.running,
        group=item.group,
        scope=Scope(pools=item.pools, workspaces=item.workspaces),
    )
