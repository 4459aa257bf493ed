"""Where names point, and names that templates and tools cannot tell apart (`a-b` and `a_b`)."""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.domain.parse.report import Report
from chalicelib.domain.sources import Path
from chalicelib.domain.template import context_name
from chalicelib.domain.workflow import INLINE_PREFIX, Action, Definition

# What the engine itself puts into a template's context.
RESERVED = frozenset({"input", "secret", "each", "state", "global_state", "hook"})


def action_path(action: Action) -> Path:
    """Return where the action is written.

    Under `actions`, or the step that a hidden one belongs to.
    """
    if action.key.startswith(INLINE_PREFIX):
        task, _, step = action.key.removeprefix(INLINE_PREFIX).partition(":")
        return ("tasks", task, "flow", step)
    return ("actions", action.key)


def check_collisions(definition: Definition, report: Report) -> None:
    """Refuse names of tasks, steps and tool servers that become one when `-` is read as `_`."""
    _check(definition.tasks, ("tasks",), "tasks", report)
    _check(definition.mcp_servers, ("mcp_servers",), "tool servers", report)
    for task in definition.tasks.values():
        path = ("tasks", task.key, "flow")
        _check(task.flow, path, "steps", report)
        for step in task.flow:
            if context_name(step) in RESERVED:
                reason = f"a step called `{step}` hides the `{context_name(step)}` of templates"
                place = report.place((*path, step), of_key=True)
                report.warning((*path, step), reason, "choose another name", place)


def _check(names: Iterable[str], path: Path, what: str, report: Report) -> None:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(context_name(name), name)
        if first != name:
            reason = f"the {what} `{first}` and `{name}` are one name to templates and tools"
            place = report.place((*path, name), of_key=True)
            report.error((*path, name), reason, "rename one of the two", place)
