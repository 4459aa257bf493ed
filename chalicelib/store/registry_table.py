"""The registry on DynamoDB: workspaces, revisions, workers' sessions, pools, paused tasks.

A write that depends on what was read says so in its condition. Source: protocol, items, "Workers".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord, WorkerStatus
from chalicelib.domain.workspace import Revision, WorkspaceRecord
from chalicelib.store.dynamo import RefusedError, answering, bind
from chalicelib.store.registry_items import (
    WORKER_KEPT,
    NamedItem,
    RevisionItem,
    WorkerItem,
    WorkspaceItem,
    digest,
    revision_item,
    revision_of,
    worker_item,
    worker_of,
    workspace_of,
    workspace_values,
)


class RegistryTable:
    """Workspaces, revisions, workers and names in one table; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._workspace = bind(WorkspaceItem, name, region, host)
        self._revision = bind(RevisionItem, name, region, host)
        self._worker = bind(WorkerItem, name, region, host)
        self._named = bind(NamedItem, name, region, host)

    def workspace(self, name: str) -> WorkspaceRecord:
        return workspace_of(self._workspace_item(name))

    def workspaces(self) -> list[WorkspaceRecord]:
        with answering(self._name):
            items = self._workspace.query(keys.WORKSPACES_PK, consistent_read=True)
            return [workspace_of(item) for item in items]

    def put_workspace(self, record: WorkspaceRecord, expected: WorkspaceRecord | None) -> None:
        item = self._workspace
        is_as_read: Condition = item.pk.does_not_exist()
        if expected is not None:
            is_as_read = item.digest == digest(expected)
        try:
            with answering(self._name):
                item(**workspace_values(record)).save(is_as_read)
        except RefusedError:
            self._expect_written(record)

    def revision(self, workspace: str, revision: str) -> Revision:
        with answering(self._name):
            try:
                item = self._revision.get(
                    keys.revisions_pk(workspace), revision, consistent_read=True
                )
            except self._revision.DoesNotExist:
                raise NotFoundError(
                    f"workspace {workspace!r} has no revision {revision}"
                ) from None
        return revision_of(item, workspace)

    def put_revision(self, revision: Revision) -> None:
        is_absent = self._revision.pk.does_not_exist()
        try:
            with answering(self._name):
                revision_item(self._revision, revision).save(is_absent)
        except RefusedError:
            return

    def worker(self, worker_id: str) -> WorkerRecord:
        return worker_of(self._worker_item(worker_id))

    def workers(self) -> list[WorkerRecord]:
        with answering(self._name):
            items = self._worker.query(keys.WORKERS_PK, consistent_read=True)
            records = [worker_of(item) for item in items]
        return sorted(records, key=lambda w: (w.registered_at, w.worker_id), reverse=True)

    def put_worker(self, record: WorkerRecord) -> None:
        with answering(self._name):
            worker_item(self._worker, record).save()

    def heartbeat(
        self, worker_id: str, at: datetime, running: Sequence[StepRef] | None
    ) -> WorkerRecord:
        item = self._worker
        said = item.running.remove() if running is None else item.running.set(tuple(running))
        return self._beat(worker_id, at, [item.status.set(WorkerStatus.ACTIVE.value), said])

    def worker_silent(self, record: WorkerRecord) -> bool:
        item = self._worker
        nonce = uuid4().hex
        is_active = item.status == WorkerStatus.ACTIVE.value
        is_silent_since = item.last_heartbeat == record.last_heartbeat
        actions: list[Action] = [
            item.status.set(WorkerStatus.INACTIVE.value),
            item.silenced_by.set(nonce),
        ]
        try:
            with answering(self._name):
                item(keys.WORKERS_PK, record.worker_id).update(
                    actions, is_active & is_silent_since
                )
        except RefusedError:
            return self._worker_item(record.worker_id).silenced_by == nonce
        return True

    def worker_gone(self, worker_id: str, at: datetime) -> None:
        item = self._worker
        inactive = item.status.set(WorkerStatus.INACTIVE.value)
        self._beat(worker_id, at, [inactive, item.running.set(())])

    def pools(self) -> frozenset[str]:
        return self._names(keys.POOLS_PK)

    def add_pool(self, pool: str) -> None:
        with answering(self._name):
            self._named(keys.POOLS_PK, pool).save()

    def paused_tasks(self, workspace: str) -> frozenset[str]:
        return self._names(keys.paused_pk(workspace))

    def pause_task(self, workspace: str, task: str, *, paused: bool) -> None:
        item = self._named(keys.paused_pk(workspace), task)
        with answering(self._name):
            if paused:
                item.save()
            else:
                item.delete()

    def _names(self, pk: str) -> frozenset[str]:
        with answering(self._name):
            return frozenset(item.sk for item in self._named.query(pk, consistent_read=True))

    def _beat(self, worker_id: str, at: datetime, actions: list[Action]) -> WorkerRecord:
        """Write what a session says of itself at `at`, which also puts off its expiry.

        Raises:
            NotFoundError: there is no such session.
        """
        item = self._worker(keys.WORKERS_PK, worker_id)
        seen: list[Action] = [
            self._worker.last_heartbeat.set(at),
            self._worker.expires.set(at + WORKER_KEPT),
            self._worker.silenced_by.remove(),
        ]
        try:
            with answering(self._name):
                item.update([*actions, *seen], self._worker.pk.exists())
        except RefusedError:
            raise _no_worker(worker_id) from None
        return worker_of(item)

    def _workspace_item(self, name: str) -> WorkspaceItem:
        with answering(self._name):
            try:
                return self._workspace.get(keys.WORKSPACES_PK, name, consistent_read=True)
            except self._workspace.DoesNotExist:
                raise NotFoundError(f"there is no workspace {name!r}") from None

    def _worker_item(self, worker_id: str) -> WorkerItem:
        with answering(self._name):
            try:
                return self._worker.get(keys.WORKERS_PK, worker_id, consistent_read=True)
            except self._worker.DoesNotExist:
                raise _no_worker(worker_id) from None

    def _expect_written(self, record: WorkspaceRecord) -> None:
        """Return when the record stands there after all: an earlier try of ours, or its twin.

        Raises:
            ConflictError: something else does.
        """
        try:
            found = self._workspace_item(record.name).digest
        except NotFoundError:
            found = ""
        if found != digest(record):
            raise ConflictError(
                f"workspace {record.name!r} was changed at the same time: read it and try again"
            )


def _no_worker(worker_id: str) -> NotFoundError:
    return NotFoundError(f"there is no worker {worker_id!r}: register again")
