"""Hooks: which fire on what, and the task that runs a hook's action.

A hook whose action is no task runs as a job of one step; the task of that job is made here, from
its name, and stands in no workspace. Source: workflow language, section 1.9.
"""

from __future__ import annotations

from enum import StrEnum

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.support import unsupported
from chalicelib.domain.workflow import ActionType, Definition, FlowStep, Hook, Task

_PREFIX = "_hook:"
# A workspace's hooks fire for what people and triggers start, not for what jobs start.
_TOP_LEVEL = frozenset(
    {
        SourceType.API,
        SourceType.USER,
        SourceType.TRIGGER,
        SourceType.WEBHOOK,
        SourceType.MCP,
        SourceType.RETRY,
    }
)


class HookEvent(StrEnum):
    """What hooks fire on."""

    SUCCESS = "on_success"
    ERROR = "on_error"
    CANCEL = "on_cancel"
    SUSPENDED = "on_suspended"


_OF_STATUS = {
    JobStatus.COMPLETED: HookEvent.SUCCESS,
    JobStatus.FAILED: HookEvent.ERROR,
    JobStatus.CANCELLED: HookEvent.CANCEL,
}


def event_of(status: JobStatus) -> HookEvent | None:
    """Return what a job's end with this status is to hooks."""
    return _OF_STATUS.get(status)


def hooks_of(definition: Definition, task: Task, job: Job, event: HookEvent) -> tuple[Hook, ...]:
    """Return the hooks that fire for the job. A task's own list replaces the workspace's.

    What a hook made fires none, nor do its sub-jobs.
    """
    if makes_no_more(job):
        return ()
    own: tuple[Hook, ...] | None = getattr(task.hooks, event.value)
    if own is not None:
        return own
    if not is_top_level(job):
        return ()
    general: tuple[Hook, ...] | None = getattr(definition.hooks, event.value)
    return general or ()


def makes_no_more(job: Job) -> bool:
    """Say whether a hook made the job, or one of its parents: its end fires nothing."""
    return job.from_hook or job.source_type is SourceType.HOOK


def is_top_level(job: Job) -> bool:
    """Say whether people or triggers started the job, so that the workspace's lists are for it."""
    return job.source_type in _TOP_LEVEL


def hook_task_name(action: str) -> str:
    """Return the name of the task that runs a hook's action in a job of its own."""
    return _PREFIX + action


def is_hook_task(task: Task) -> bool:
    """Say whether the task runs a hook's action."""
    return is_hook_task_name(task.key)


def is_hook_task_name(name: str) -> bool:
    """Say whether this names the task of a hook's job."""
    return name.startswith(_PREFIX)


def find_task(definition: Definition, name: str) -> Task | None:
    """Return a task of the workspace, or the one that runs a hook's action."""
    if not name.startswith(_PREFIX):
        return definition.tasks.get(name)
    action = definition.actions.get(name.removeprefix(_PREFIX))
    if action is None:
        return None
    step = FlowStep(key=action.key, action=action.key)
    return Task(key=name, flow={step.key: step}, input=action.input)


def task_of(definition: Definition, hook: Hook) -> Task:
    """Return the task that a hook's job runs: the one that its action names, or one of one step.

    Raises:
        InvalidError: there is no such action or task, or it cannot run yet.
    """
    action = definition.actions.get(hook.action)
    if action is None:
        raise InvalidError(f"there is no action {hook.action!r} in this workspace")
    is_task = action.type is ActionType.TASK
    return runnable(definition, (action.task or "") if is_task else hook_task_name(hook.action))


def named_task(definition: Definition, hook: Hook) -> Task | None:
    """Return the task that a hook's job would run, if there is one; see `task_of`."""
    action = definition.actions.get(hook.action)
    if action is None:
        return None
    is_task = action.type is ActionType.TASK
    return find_task(definition, (action.task or "") if is_task else hook_task_name(hook.action))


def runnable(definition: Definition, name: str) -> Task:
    """Return the task of this name.

    Raises:
        InvalidError: there is none, or it uses what is not executed yet.
    """
    task = find_task(definition, name)
    if task is None:
        raise InvalidError(f"there is no task {name!r} in this workspace")
    missing = unsupported(definition, task)
    if missing:
        raise InvalidError(f"task {name!r} cannot run yet: " + "; ".join(missing))
    return task
