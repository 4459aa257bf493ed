"""What the language has and this version does not execute yet.

A task that needs it is refused when a job is created: a flow that runs half of what it says would
be worse than one that does not start.
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.domain.pools import MAX_POOL_CHARS, pool_of
from chalicelib.domain.workflow import (
    ActionType,
    Definition,
    FlowStep,
    RunnerKind,
    Task,
)

_EXECUTED = frozenset({ActionType.SCRIPT, ActionType.TASK, ActionType.APPROVAL})


def unsupported(definition: Definition, task: Task) -> list[str]:
    """Return a sentence for each thing that keeps the task from running; [] when nothing does.

    What its sub-jobs run counts too.
    """
    return [
        reason
        for one in with_children(definition, task)
        for step in one.flow.values()
        for reason in _of_step(definition, step, None if one is task else one)
    ]


def with_children(definition: Definition, task: Task) -> Iterator[Task]:
    """Yield the task and all that its sub-jobs run, each once."""
    pending, seen = [task], {task.key}
    while pending:
        one = pending.pop(0)
        yield one
        for step in one.flow.values():
            action = definition.actions.get(step.action)
            child = definition.tasks.get(action.task or "") if action else None
            if child is not None and child.key not in seen:
                seen.add(child.key)
                pending.append(child)


def _of_step(definition: Definition, step: FlowStep, child: Task | None) -> Iterator[str]:
    where = f"step {step.key!r}" + (f" of task {child.key!r}" if child else "")
    action = definition.actions.get(step.action)
    if action is None:
        yield f"{where} uses the action {step.action!r} of another workspace or library"
    elif action.type not in _EXECUTED:
        yield f"{where} is of type {action.type}, which is not executed yet"
    elif action.runner is not RunnerKind.LOCAL:
        yield f"{where} asks for the runner {action.runner}, which is not executed yet"
    elif len(pool_of(action)) > MAX_POOL_CHARS:
        yield f"{where} asks for more tags, or longer ones, than the name of a queue has room for"
