"""Registry, logs and objects in memory: for tests, the simulator and `stroem run`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.logs import LogChunk, LogPart
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord, WorkerStatus
from chalicelib.domain.workspace import Revision, WorkspaceRecord


class MemoryRegistry:
    """Workspaces, revisions, workers, pools and paused tasks."""

    def __init__(self) -> None:
        self._workspaces: dict[str, WorkspaceRecord] = {}
        self._revisions: dict[tuple[str, str], Revision] = {}
        self._workers: dict[str, WorkerRecord] = {}
        self._pools: set[str] = set()
        self._paused: dict[str, set[str]] = {}

    def workspace(self, name: str) -> WorkspaceRecord:
        record = self._workspaces.get(name)
        if record is None:
            raise NotFoundError(f"there is no workspace {name!r}")
        return record

    def workspaces(self) -> list[WorkspaceRecord]:
        return [self._workspaces[name] for name in sorted(self._workspaces)]

    def put_workspace(self, record: WorkspaceRecord, expected: WorkspaceRecord | None) -> None:
        found = self._workspaces.get(record.name)
        if found not in (expected, record):
            raise ConflictError(
                f"workspace {record.name!r} was changed at the same time: read it and try again"
            )
        self._workspaces[record.name] = record

    def revision(self, workspace: str, revision: str) -> Revision:
        found = self._revisions.get((workspace, revision))
        if found is None:
            raise NotFoundError(f"workspace {workspace!r} has no revision {revision}")
        return found

    def put_revision(self, revision: Revision) -> None:
        self._revisions.setdefault((revision.workspace, revision.revision), revision)

    def worker(self, worker_id: str) -> WorkerRecord:
        record = self._workers.get(worker_id)
        if record is None:
            raise NotFoundError(f"there is no worker {worker_id!r}")
        return record

    def workers(self) -> list[WorkerRecord]:
        return sorted(
            self._workers.values(), key=lambda w: (w.registered_at, w.worker_id), reverse=True
        )

    def put_worker(self, record: WorkerRecord) -> None:
        self._workers[record.worker_id] = record

    def heartbeat(
        self, worker_id: str, at: datetime, running: Sequence[StepRef] | None
    ) -> WorkerRecord:
        record = replace(
            self.worker(worker_id),
            last_heartbeat=at,
            running=None if running is None else tuple(running),
            status=WorkerStatus.ACTIVE,
        )
        self._workers[worker_id] = record
        return record

    def worker_silent(self, record: WorkerRecord) -> bool:
        now = self.worker(record.worker_id)
        if now.last_heartbeat != record.last_heartbeat or now.status is WorkerStatus.INACTIVE:
            return False
        self._workers[record.worker_id] = replace(now, status=WorkerStatus.INACTIVE)
        return True

    def worker_gone(self, worker_id: str, at: datetime) -> None:
        record = self.worker(worker_id)
        self._workers[worker_id] = replace(
            record, status=WorkerStatus.INACTIVE, last_heartbeat=at, running=()
        )

    def pools(self) -> frozenset[str]:
        return frozenset(self._pools)

    def add_pool(self, pool: str) -> None:
        self._pools.add(pool)

    def paused_tasks(self, workspace: str) -> frozenset[str]:
        return frozenset(self._paused.get(workspace, ()))

    def pause_task(self, workspace: str, task: str, *, paused: bool) -> None:
        tasks = self._paused.setdefault(workspace, set())
        if paused:
            tasks.add(task)
        else:
            tasks.discard(task)


class MemoryLogs:
    """Chunks by job."""

    def __init__(self) -> None:
        self._chunks: dict[str, dict[str, LogChunk]] = {}

    def append(self, chunk: LogChunk, expires_at: datetime) -> None:  # noqa: ARG002 - nothing expires in memory
        sk = keys.log_sk(chunk.step, chunk.attempt, chunk.first)
        self._chunks.setdefault(chunk.job_id, {}).setdefault(sk, chunk)

    def chunks(self, job_id: str, step: str | None = None) -> list[LogChunk]:
        by_key = self._chunks.get(job_id, {})
        prefix = "" if step is None else keys.log_step_prefix(step)
        return [by_key[sk] for sk in sorted(by_key) if sk.startswith(prefix)]

    def chunks_after(
        self, job_id: str, step: str, attempt: int, after: int, limit: int
    ) -> list[LogChunk]:
        found = [
            chunk
            for chunk in self.chunks(job_id, step)
            if chunk.attempt == attempt and chunk.last > after
        ]
        return found[:limit]

    def head(self, job_id: str, step: str, attempt: int) -> int:
        return max(
            (c.last for c in self.chunks_after(job_id, step, attempt, 0, 1 << 30)), default=0
        )

    def chunks_of(self, job_id: str, parts: Sequence[LogPart]) -> list[LogChunk]:
        return [
            chunk
            for part in parts
            for chunk in self.chunks_after(job_id, part.step, part.attempt, part.after, 1 << 30)
            if part.meets(chunk)
        ]

    def heads(self, job_id: str, attempts: Sequence[tuple[str, int]]) -> list[int]:
        return [self.head(job_id, *attempt) for attempt in attempts]

    def drop(self, job_id: str) -> None:
        """Forget a job's chunks, as their expiry does in the table."""
        self._chunks.pop(job_id, None)


class MemoryBlobs:
    """Objects by key."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> None:
        self._objects[key] = content

    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        content = b"".join(parts)
        self.put(key, content)
        return len(content)

    def get(self, key: str) -> bytes:
        content = self._objects.get(key)
        if content is None:
            raise NotFoundError(f"there is no object {key}")
        return content

    def exists(self, key: str) -> bool:
        return key in self._objects

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)

    def upload_url(self, key: str, expires_s: int) -> str:
        return f"memory:{key}?expires={expires_s}"

    def download_url(self, key: str, expires_s: int) -> str:
        return f"memory:{key}?expires={expires_s}"
