"""Checks how tasks start each other: none itself, none deeper than the engine goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chalicelib.domain.graph import cycles, layers
from chalicelib.domain.parse.report import Report
from chalicelib.domain.workflow import ActionType, Definition, FlowStep, Task

MAX_NESTING = 10


def check_nesting(definition: Definition, report: Report) -> None:
    """Refuse a task that starts itself and chains beyond `MAX_NESTING`; warn of rounds through
    others.
    """
    calls: dict[str, FlowStep] = {}
    for task in definition.tasks.values():
        started: list[str] = []
        for step, child in _children(task, definition):
            if child == task.key:
                path = ("tasks", task.key, "flow", step.key)
                reason = f"the step starts its own task `{task.key}`: it would never end"
                report.error(path, reason, "use `for_each` or `retry` to repeat work")
            else:
                started.append(child)
        # The tasks form a graph like that of steps: a task "depends on" those that it starts.
        calls[task.key] = FlowStep(key=task.key, action="", depends_on=tuple(started))
    _check_graph(calls, report)


def _children(task: Task, definition: Definition) -> Iterator[tuple[FlowStep, str]]:
    for step in task.flow.values():
        action = definition.actions.get(step.action)
        if action is not None and action.type is ActionType.TASK and action.task:
            yield step, action.task


def _check_graph(calls: Mapping[str, FlowStep], report: Report) -> None:
    for path in cycles(calls):
        reason = f"the tasks start each other: {' -> '.join(path)}"
        fix = f"make sure that a `when` ends it: the engine stops at {MAX_NESTING} levels"
        report.warning(("tasks", path[0]), reason, fix)
    # A task of layer 0 starts no other; one of layer n starts a chain of n below it.
    for task in (name for layer in layers(calls)[MAX_NESTING:] for name in layer):
        reason = (
            f"starts tasks more than {MAX_NESTING} levels deep; the engine refuses the deepest"
        )
        report.error(("tasks", task), reason, "let the inner tasks be steps")
