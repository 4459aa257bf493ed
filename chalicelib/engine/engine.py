"""The engine: the ports that every use case works with, and this installation's figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.hooks import find_task
from chalicelib.domain.job import Job, LoopRun
from chalicelib.domain.loops import flow_key
from chalicelib.domain.plan import Flow, flow_of
from chalicelib.domain.pools import pool_of
from chalicelib.domain.template import Renderer
from chalicelib.domain.values import JsonValue
from chalicelib.domain.worker import SESSION_KEPT, WorkerRecord
from chalicelib.domain.workflow import Definition, Task
from chalicelib.engine.payloads import load_payload
from chalicelib.engine.ports import (
    Blobs,
    Clock,
    Definitions,
    Ids,
    JobStore,
    Links,
    LogStore,
    Queue,
    Registry,
    Slots,
)

_KEPT_FLOWS = 256
_KEPT_JOBS = 4096
_KEPT_LOOPS = 8
_KEPT_SESSIONS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Figures of this installation; times in seconds, None for no limit.

    `scaling_pools` start workers when work comes, so a step may wait there without a live one;
    elsewhere a step that no live worker can take fails after `unclaimed_s`.
    `workspace_jobs` is how many jobs of one workspace may run at a time.
    """

    pools: tuple[str, ...] = ("script",)
    scaling_pools: frozenset[str] = frozenset()
    default_step_timeout_s: int | None = None
    default_job_timeout_s: int | None = None
    unclaimed_s: int | None = 600
    workspace_jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job runs: its task in the revision that it is pinned to."""

    definition: Definition
    task: Task
    flow: Flow

    def pool_of(self, step: str) -> str:
        """Return the pool that runs a step of the flow, or an instance of it."""
        return pool_of(self.definition.action_of(self.flow.steps[flow_key(step)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a use case gets as its first argument."""

    jobs: JobStore
    slots: Slots
    registry: Registry
    logs: LogStore
    blobs: Blobs
    queue: Queue
    clock: Clock
    ids: Ids
    definitions: Definitions
    renderer: Renderer
    links: Links
    limits: Limits = field(default_factory=Limits)
    _plans: dict[tuple[str, str, str], Plan] = field(default_factory=dict)
    _runs: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    _items: dict[str, list[JsonValue]] = field(default_factory=dict)
    _opened: set[str] = field(default_factory=set)
    _sessions: dict[str, tuple[datetime, WorkerRecord]] = field(default_factory=dict)

    def plan_of(self, job: Job) -> Plan:
        """Return what the job runs, kept for the next look: a revision never changes.

        Raises:
            UnavailableError: the pinned revision has no such task, so it is not the one that the
                job was made from.
        """
        key = (job.workspace, job.revision, job.task)
        if len(self._runs) >= _KEPT_JOBS:
            self._runs.clear()
        self._runs[job.job_id] = key
        plan = self._plans.get(key)
        if plan is None:
            definition = self.definitions.load(job.workspace, job.revision)
            task = find_task(definition, job.task)
            if task is None:
                raise UnavailableError(
                    f"revision {job.revision} of workspace {job.workspace!r} "
                    f"has no task {job.task!r}, which job {job.job_id} runs"
                )
            if len(self._plans) >= _KEPT_FLOWS:
                self._plans.clear()
            plan = self._plans[key] = Plan(definition, task, flow_of(task, definition.actions))
        return plan

    def known_plan(self, job_id: str) -> Plan | None:
        """Return what a job runs if this process has seen it lately: that never changes."""
        key = self._runs.get(job_id)
        return self._plans.get(key) if key else None

    def session(self, worker_id: str) -> WorkerRecord:
        """Return what a worker said of itself, kept for a while: only its heartbeats change.

        Raises:
            NotFoundError: no such session.
        """
        now = self.clock.now()
        kept = self._sessions.get(worker_id)
        if kept is not None and now - kept[0] < SESSION_KEPT:
            return kept[1]
        record = self.registry.worker(worker_id)
        if len(self._sessions) >= _KEPT_SESSIONS:
            self._sessions.clear()
        self._sessions[worker_id] = (now, record)
        return record

    def knows_pool(self, pool: str) -> bool:
        """Say whether there is such a pool: of the installation, or opened since."""
        if pool in self.limits.pools or pool in self._opened:
            return True
        self._opened.update(self.registry.pools())
        return pool in self._opened

    def open_pool(self, pool: str) -> None:
        """Keep the name of a pool beyond those of the installation, before work goes there.

        Workers who fit it learn of it from there. Asked once in each process.
        """
        if pool in self.limits.pools or pool in self._opened:
            return
        self.registry.add_pool(pool)
        self._opened.add(pool)

    def items_of(self, loop: LoopRun) -> list[JsonValue]:
        """Return what a loop goes over, kept for its next instance: it never changes."""
        key = loop.items.ref.key if loop.items.ref else ""
        items = self._items.get(key) if key else None
        if items is None:
            value = load_payload(self.blobs, loop.items)
            items = value if isinstance(value, list) else []
            if len(self._items) >= _KEPT_LOOPS:
                self._items.clear()
            if key:
                self._items[key] = items
        return items
