"""Checks each task's graph.

Dependencies that exist, no cycles, steps that can run, conditions that say something.
"""

from __future__ import annotations

from chalicelib.domain.graph import cycles, order
from chalicelib.domain.parse.report import Report, did_you_mean
from chalicelib.domain.sources import Path
from chalicelib.domain.template import has_template
from chalicelib.domain.workflow import Definition, FlowStep, Task

FALSE_WORDS = frozenset({"", "false", "0", "null", "none"})


def check_flows(definition: Definition, report: Report) -> None:
    """Check the flow of every task."""
    for task in definition.tasks.values():
        _check_dependencies(task, report)
        _check_cycles(task, report)
        for step in task.flow.values():
            _check_when(step, ("tasks", task.key, "flow", step.key, "when"), report)
            _check_loop(step, ("tasks", task.key, "flow", step.key, "for_each"), report)


def _check_dependencies(task: Task, report: Report) -> None:
    for step in task.flow.values():
        for index, dependency in enumerate(step.depends_on):
            if dependency in task.flow:
                continue
            path: Path = ("tasks", task.key, "flow", step.key, "depends_on", index)
            fix = did_you_mean(report.nearest(dependency, task.flow))
            reason = f"there is no step `{dependency}` in the task `{task.key}`"
            report.error(path, reason, fix or "name a step of the same flow")


def _check_cycles(task: Task, report: Report) -> None:
    found = cycles(task.flow)
    if not found:
        return
    inside = {name for path in found for name in path}
    for path in found:
        at: Path = ("tasks", task.key, "flow", path[0], "depends_on")
        reason = f"the steps wait for each other: {_spelled(path)}"
        report.error(at, reason, "take one of these out of `depends_on`")
    free = set(order(task.flow))
    for name in task.flow:
        if name not in free and name not in inside:
            at = ("tasks", task.key, "flow", name)
            report.warning(at, f"never runs: it waits for the cycle {_spelled(found[0])}")


def _spelled(path: tuple[str, ...]) -> str:
    most = 10
    shown = path if len(path) <= most else (*path[: most - 1], "…", path[-1])
    return " -> ".join(shown)


def _check_when(step: FlowStep, path: Path, report: Report) -> None:
    if step.when is None or has_template(step.when):
        return
    bare = step.when.strip()
    if bare.lower() in FALSE_WORDS:
        report.warning(path, "always false: the step never runs", "leave the step out")
    elif bare.lower() != "true":
        reason = "always true: without braces this is a text, not a condition"
        report.warning(path, reason, f'when: "{{{{ {bare} }}}}"')


def _check_loop(step: FlowStep, path: Path, report: Report) -> None:
    if (
        isinstance(step.for_each, str)
        and step.for_each.strip()
        and not has_template(step.for_each)
    ):
        bare = step.for_each.strip()
        if not bare.startswith("["):
            fix = f'for_each: "{{{{ {bare} | json_encode }}}}"'
            report.warning(path, "a text without braces gives no list: the step will fail", fix)
