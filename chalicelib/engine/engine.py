"""The engine: the ports that every use case works with, and this installation's figures."""

from __future__ import annotations

from dataclasses import dataclass, field

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.job import Job
from chalicelib.domain.plan import Flow, flow_of
from chalicelib.domain.template import Renderer
from chalicelib.domain.workflow import Definition, Task
from chalicelib.engine.ports import (
    Blobs,
    Clock,
    Definitions,
    Ids,
    JobStore,
    LogStore,
    Queue,
    Registry,
)

_KEPT_FLOWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Figures of this installation; times in seconds, None for no limit."""

    pools: tuple[str, ...] = ("script",)
    default_step_timeout_s: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job runs: its task in the revision that it is pinned to."""

    definition: Definition
    task: Task
    flow: Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a use case gets as its first argument."""

    jobs: JobStore
    registry: Registry
    logs: LogStore
    blobs: Blobs
    queue: Queue
    clock: Clock
    ids: Ids
    definitions: Definitions
    renderer: Renderer
    limits: Limits = field(default_factory=Limits)
    _plans: dict[tuple[str, str, str], Plan] = field(default_factory=dict)

    def plan_of(self, job: Job) -> Plan:
        """Return what the job runs, kept for the next look: a revision never changes.

        Raises:
            UnavailableError: the pinned revision has no such task, so it is not the one that the
                job was made from.
        """
        key = (job.workspace, job.revision, job.task)
        plan = self._plans.get(key)
        if plan is None:
            definition = self.definitions.load(job.workspace, job.revision)
            task = definition.tasks.get(job.task)
            if task is None:
                raise UnavailableError(
                    f"revision {job.revision} of workspace {job.workspace!r} "
                    f"has no task {job.task!r}, which job {job.job_id} runs"
                )
            if len(self._plans) >= _KEPT_FLOWS:
                self._plans.clear()
            plan = self._plans[key] = Plan(definition, task, flow_of(task))
        return plan
