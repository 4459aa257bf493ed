"""The engine: the ports that every use case works with, and this installation's figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.foreign import Owner, with_owners
from chalicelib.domain.hooks import find_task
from chalicelib.domain.job import Job, LoopRun
from chalicelib.domain.loops import flow_key
from chalicelib.domain.plan import Flow, flow_of
from chalicelib.domain.pools import pool_of
from chalicelib.domain.template import Renderer
from chalicelib.domain.values import JsonValue
from chalicelib.domain.worker import SESSION_KEPT, WorkerRecord
from chalicelib.domain.workflow import Definition, FlowStep, Task
from chalicelib.engine.audit_chain import Chain
from chalicelib.engine.kept_jobs import KeptJob
from chalicelib.engine.payloads import load_payload
from chalicelib.engine.ports import (
    Blobs,
    Clock,
    Definitions,
    Ids,
    JobStore,
    Links,
    Queue,
    Registry,
    Slots,
)
from chalicelib.engine.ports_access import AccessRules, Gate, OpenAccess, OpenGate
from chalicelib.engine.ports_accounts import Accounts, NoAccounts, NoPasswords, Passwords
from chalicelib.engine.ports_audit import AuditLog, NoAudit
from chalicelib.engine.ports_event_sources import EventSources, NoEventSources
from chalicelib.engine.ports_live import Connections, NoConnections, NoPushes, Pushes
from chalicelib.engine.ports_logs import LogStore
from chalicelib.engine.ports_notify import (
    Deliveries,
    NoDeliveries,
    NoTopics,
    NoWebSender,
    Topics,
    WebSender,
)
from chalicelib.engine.ports_oidc import (
    Identities,
    IdentityProviders,
    NoIdentities,
    NoProviders,
)
from chalicelib.engine.ports_schedules import (
    Backfills,
    NoBackfills,
    NoRefresher,
    NoSchedules,
    Refresher,
    Schedules,
)
from chalicelib.engine.ports_secrets import NoSecrets, Secrets
from chalicelib.engine.ports_sources import NoSources, Sources
from chalicelib.engine.ports_webhooks import HookStore, NoHooks
from chalicelib.engine.ports_worker_groups import NoWorkerGroups, WorkerGroups

# Workspace, revision, task, and the revisions of other workspaces that it uses.
_PlanKey = tuple[str, str, str, tuple[tuple[str, str], ...]]

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
    """What a job runs: its task in the revision that it is pinned to.

    `definition` also has the actions of other workspaces that the task uses; `owners` are theirs,
    by the names that steps use.
    """

    definition: Definition
    task: Task
    flow: Flow
    owners: Mapping[str, Owner] = field(default_factory=dict)

    def owner_of(self, step: FlowStep) -> Owner | None:
        """Return whose action the step runs, if it is another workspace's."""
        return self.owners.get(step.action)

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
    gate: Gate = field(default_factory=OpenGate)
    accounts: Accounts = field(default_factory=NoAccounts)
    passwords: Passwords = field(default_factory=NoPasswords)
    identities: Identities = field(default_factory=NoIdentities)
    providers: IdentityProviders = field(default_factory=NoProviders)
    access: AccessRules = field(default_factory=OpenAccess)
    audit: AuditLog = field(default_factory=NoAudit)
    chain: Chain = field(default_factory=Chain)
    secrets: Secrets = field(default_factory=NoSecrets)
    worker_groups: WorkerGroups = field(default_factory=NoWorkerGroups)
    event_sources: EventSources = field(default_factory=NoEventSources)
    webhooks: HookStore = field(default_factory=NoHooks)
    deliveries: Deliveries = field(default_factory=NoDeliveries)
    web: WebSender = field(default_factory=NoWebSender)
    topics: Topics = field(default_factory=NoTopics)
    schedules: Schedules = field(default_factory=NoSchedules)
    backfills: Backfills = field(default_factory=NoBackfills)
    refresher: Refresher = field(default_factory=NoRefresher)
    sources: Sources = field(default_factory=NoSources)
    connections: Connections = field(default_factory=NoConnections)
    pushes: Pushes = field(default_factory=NoPushes)
    kept_jobs: dict[str, KeptJob] = field(default_factory=dict)
    _plans: dict[_PlanKey, Plan] = field(default_factory=dict)
    _runs: dict[str, _PlanKey] = field(default_factory=dict)
    _items: dict[str, list[JsonValue]] = field(default_factory=dict)
    _opened: set[str] = field(default_factory=set)
    _sessions: dict[str, tuple[datetime, WorkerRecord]] = field(default_factory=dict)

    def plan_of(self, job: Job) -> Plan:
        """Return what the job runs, kept for the next look: a revision never changes.

        Raises:
            UnavailableError: the pinned revision has no such task, so it is not the one that the
                job was made from.
        """
        key = (job.workspace, job.revision, job.task, job.pins)
        if len(self._runs) >= _KEPT_JOBS:
            self._runs.clear()
        self._runs[job.job_id] = key
        plan = self._plans.get(key)
        if plan is None:
            definition, owners = self._with_owners(job)
            task = find_task(definition, job.task)
            if task is None:
                raise UnavailableError(
                    f"revision {job.revision} of workspace {job.workspace!r} "
                    f"has no task {job.task!r}, which job {job.job_id} runs"
                )
            if len(self._plans) >= _KEPT_FLOWS:
                self._plans.clear()
            flow = flow_of(task, definition.actions)
            plan = self._plans[key] = Plan(definition, task, flow, owners)
        return plan

    def _with_owners(self, job: Job) -> tuple[Definition, dict[str, Owner]]:
        definition = self.definitions.load(job.workspace, job.revision)
        owners = {
            name: Owner(name, revision, self.definitions.load(name, revision))
            for name, revision in job.pins
        }
        return with_owners(definition, owners) if owners else (definition, {})

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
