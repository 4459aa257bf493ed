"""Event sources: the job that consumes, and the jobs that it emits.

One rule: a consumer's job is started by its trigger (`trigger`), what it emits is of the source
type `event_source`; so whoever stops a consumer never means what it emitted.
Source: workflow language, section 1.10.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.workflow import Definition, Trigger, TriggerType

MAX_EVENT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """What a consumer's worker needs to know to emit: for which trigger, and which task starts."""

    workspace: str
    source_id: str
    target_task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSourceRecord:
    """How far a trigger's consumers have come: `job_id` is that of the `number`th, from 1.

    `is_done`: its restart policy lets no other follow until the workspace changes, or the trigger
    was off.
    """

    workspace: str
    name: str
    number: int = 0
    job_id: str | None = None
    revision: str | None = None
    is_done: bool = False

    @property
    def key(self) -> str:
        """Return what jobs name as their source."""
        return f"{self.workspace}/{self.name}"


def source_of(definition: Definition, job: Job) -> tuple[Trigger, EventSource] | None:
    """Return the event source that the job consumes for; None for any other job."""
    workspace, _, name = (job.source_id or "").partition("/")
    trigger = definition.triggers.get(name)
    if (
        job.source_type is not SourceType.TRIGGER
        or job.parent is not None
        or workspace != job.workspace
        or trigger is None
        or trigger.type is not TriggerType.EVENT_SOURCE
        or trigger.task != job.task
    ):
        return None
    return trigger, EventSource(
        workspace=workspace, source_id=job.source_id or "", target_task=trigger.target_task or ""
    )


def starts_again(trigger: Trigger, status: JobStatus) -> bool:
    """Say whether the restart policy asks for another consumer after one that ended so."""
    if trigger.restart_policy == "on_failure":
        return status is JobStatus.FAILED
    return trigger.restart_policy == "always"
