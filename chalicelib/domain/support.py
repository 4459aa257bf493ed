"""What the language has and this version does not execute yet.

A task that needs it is refused when a job is created: a flow that runs half of what it says would
be worse than one that does not start.
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.domain.workflow import (
    ActionType,
    Definition,
    FlowStep,
    Hooks,
    RunnerKind,
    Task,
)


def unsupported(definition: Definition, task: Task) -> list[str]:
    """Return a sentence for each thing that keeps the task from running; [] when nothing does."""
    return [
        *_of_task(task),
        *_of_hooks(definition.hooks, task.hooks),
        *(reason for step in task.flow.values() for reason in _of_step(definition, step)),
    ]


def _of_task(task: Task) -> Iterator[str]:
    if task.retry is not None:
        yield "retry of a whole task is not executed yet"
    if task.timeout_s is not None:
        yield "timeout of a whole task is not executed yet"


def _of_hooks(workspace: Hooks, task: Hooks) -> Iterator[str]:
    """A task's own list, an empty one too, replaces the workspace's for that event."""
    for event in ("on_success", "on_error", "on_suspended", "on_cancel"):
        own = getattr(task, event)
        if own:
            yield f"{event} hooks are not executed yet"
        elif own is None and getattr(workspace, event):
            yield f"{event} hooks of the workspace are not executed yet"


def _of_step(definition: Definition, step: FlowStep) -> Iterator[str]:
    where = f"step {step.key!r}"
    action = definition.actions.get(step.action)
    if action is None:
        yield f"{where} uses the action {step.action!r} of another workspace or library"
    elif action.type is not ActionType.SCRIPT:
        yield f"{where} is of type {action.type}, which is not executed yet"
    elif action.runner is not RunnerKind.LOCAL:
        yield f"{where} asks for the runner {action.runner}, which is not executed yet"
    elif action.tags:
        yield f"{where} asks for workers by tags, which are not matched yet"
    if step.when is not None:
        yield f"{where} has `when`, which is not executed yet"
    if step.for_each is not None:
        yield f"{where} has `for_each`, which is not executed yet"
