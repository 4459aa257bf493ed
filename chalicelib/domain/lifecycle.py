"""Statuses of jobs and steps, and which may follow which.

Every status word of the product stands here and nowhere else; every transition is a row of
`_JOB_MOVES` or `_STEP_MOVES`.
Source: state machines, section 3.1; protocol, items.
"""

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands.

    `SKIPPED` is the end of a job that found no place under a limit whose rule is to skip.
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_terminal(self) -> bool:
        """Say whether the job has ended: a terminal status never changes."""
        return self not in _JOB_MOVES


class StepStatus(StrEnum):
    """Where a step stands, as users see it.

    `PENDING` is derived and never stored. So are `READY` and `SKIPPED`, but for what was decided
    once and for all: a retry that waits is stored as `READY` with the attempt that comes next, and
    so is what a `when` said.
    """

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Say whether the step has ended: a terminal status never changes."""
        return self not in _STEP_MOVES


_JOB_MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset(
        {
            JobStatus.RUNNING,
            JobStatus.COMPLETED,
            JobStatus.FAILED,
            JobStatus.CANCELLED,
            JobStatus.SKIPPED,
        }
    ),
    JobStatus.RUNNING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
}

_STEP_MOVES: dict[StepStatus, frozenset[StepStatus]] = {
    # A step that is decided late goes at once to what was decided.
    StepStatus.PENDING: frozenset(
        {
            StepStatus.READY,
            StepStatus.RUNNING,
            StepStatus.SUSPENDED,
            StepStatus.FAILED,
            StepStatus.SKIPPED,
            StepStatus.CANCELLED,
        }
    ),
    StepStatus.READY: frozenset(
        {StepStatus.RUNNING, StepStatus.SUSPENDED, StepStatus.FAILED, StepStatus.CANCELLED}
    ),
    StepStatus.RUNNING: frozenset(
        {
            StepStatus.READY,
            StepStatus.SUSPENDED,
            StepStatus.COMPLETED,
            StepStatus.FAILED,
            StepStatus.CANCELLED,
        }
    ),
    StepStatus.SUSPENDED: frozenset(
        {StepStatus.READY, StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.CANCELLED}
    ),
}


def job_moves(status: JobStatus) -> frozenset[JobStatus]:
    """Return the statuses that may follow; empty for a terminal one."""
    return _JOB_MOVES.get(status, frozenset())


def step_moves(status: StepStatus) -> frozenset[StepStatus]:
    """Return the statuses that may follow; empty for a terminal one."""
    return _STEP_MOVES.get(status, frozenset())


class SourceType(StrEnum):
    """What started a job. Source: state machines, section 3.1."""

    API = "api"
    USER = "user"
    TRIGGER = "trigger"
    WEBHOOK = "webhook"
    HOOK = "hook"
    TASK = "task"
    MCP = "mcp"
    AGENT_TOOL = "agent_tool"
    EVENT_SOURCE = "event_source"
    RETRY = "retry"
    UPLOAD = "upload"
    RERUN = "rerun"
