"""Checks that what is named exists: actions, tasks, tools, types of inputs.

Dotted names belong elsewhere: a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.inputs import check_input
from chalicelib.domain.parse.fields import RESERVED_TYPES
from chalicelib.domain.parse.report import Report, did_you_mean
from chalicelib.domain.sources import Path
from chalicelib.domain.validate.names import action_path
from chalicelib.domain.workflow import (
    INLINE_PREFIX,
    Action,
    ActionType,
    Definition,
    Hook,
    Hooks,
    InputField,
    Task,
)


def check_references(definition: Definition, report: Report) -> None:
    """Check actions of steps and hooks, tasks and tools of actions, types of inputs."""
    named = [key for key in definition.actions if not key.startswith(INLINE_PREFIX)]
    for task in definition.tasks.values():
        base: Path = ("tasks", task.key)
        for step in task.flow.values():
            if step.action:
                path = (*base, "flow", step.key, "action")
                _check_action(step.action, path, definition, named, report)
        _check_inputs(task.input, (*base, "input"), definition, report)
        _check_defaults(task, definition, report)
    for path, hook in all_hooks(definition):
        if hook.action:
            _check_action(hook.action, (*path, "action"), definition, named, report)
    for action in definition.actions.values():
        _check_parts(action, definition, report)


def all_hooks(definition: Definition) -> Iterator[tuple[Path, Hook]]:
    """Yield each hook of the workspace and its tasks, with its path."""
    yield from _hooks_at((), definition.hooks)
    for task in definition.tasks.values():
        yield from _hooks_at(("tasks", task.key), task.hooks)


def _hooks_at(base: Path, hooks: Hooks) -> Iterator[tuple[Path, Hook]]:
    events = {
        "on_success": hooks.on_success,
        "on_error": hooks.on_error,
        "on_suspended": hooks.on_suspended,
        "on_cancel": hooks.on_cancel,
    }
    for event, listed in events.items():
        for index, hook in enumerate(listed or ()):
            yield (*base, event, index), hook


def _check_action(
    name: str, path: Path, definition: Definition, named: list[str], report: Report
) -> None:
    if name in definition.actions:
        return
    if "." in name:
        reason = f"the action `{name}` is of another workspace and cannot be checked here"
        report.warning(path, reason)
        return
    fix = did_you_mean(report.nearest(name, named)) or "declare it under `actions`"
    report.error(path, f"there is no action `{name}`", fix)


def check_task(name: str, path: Path, tasks: Mapping[str, Task], report: Report) -> None:
    """Refuse the name of a task that does not exist; an empty one was complained of before."""
    if name and name not in tasks:
        fix = did_you_mean(report.nearest(name, tasks)) or "declare it under `tasks`"
        report.error(path, f"there is no task `{name}`", fix)


def _check_parts(action: Action, definition: Definition, report: Report) -> None:
    path = action_path(action)
    if action.type is ActionType.TASK and action.task:
        check_task(action.task, (*path, "task"), definition.tasks, report)
    for index, tool in enumerate(action.agent.tools if action.agent else ()):
        _check_tool(tool, (*path, "tools", index), definition, report)
    _check_inputs(action.input, (*path, "input"), definition, report)


def _check_tool(
    tool: Mapping[str, object], path: Path, definition: Definition, report: Report
) -> None:
    task, server = tool.get("task"), tool.get("mcp")
    if isinstance(task, str):
        check_task(task, (*path, "task"), definition.tasks, report)
    if isinstance(server, str) and server not in definition.mcp_servers:
        near = did_you_mean(report.nearest(server, definition.mcp_servers))
        fix = near or "declare it under `mcp_servers`"
        report.error((*path, "mcp"), f"there is no tool server `{server}`", fix)


def _check_inputs(
    fields: Mapping[str, InputField], path: Path, definition: Definition, report: Report
) -> None:
    for name, field in fields.items():
        if _is_known(field.type, definition):
            continue
        at = (*path, name, "type")
        if "." in field.type:
            reason = f"the type `{field.type}` is of a library and cannot be checked here"
            report.warning(at, reason)
            continue
        known: Iterable[str] = (*_input_types(), *definition.connection_types)
        fix = did_you_mean(report.nearest(field.type, known))
        reason = f"`{field.type}` is neither a type of inputs nor a connection type"
        report.error(at, reason, fix or f"one of {', '.join(_input_types())}")


def _input_types() -> tuple[str, ...]:
    return tuple(sorted(RESERVED_TYPES - {"array", "object", "bool"}))


def _is_known(kind: str, definition: Definition) -> bool:
    return kind in _input_types() or kind in definition.connection_types


def _check_defaults(task: Task, definition: Definition, report: Report) -> None:
    """Refuse defaults that no job could start with: the engine checks them like any value."""
    for name, field in task.input.items():
        if not (field.has_default and _is_known(field.type, definition)):
            continue
        try:
            check_input({name: field}, {}, definition)
        except InvalidError as error:
            for violation in error.violations:
                path = ("tasks", task.key, "input", name, "default")
                report.error(path, f"the default {violation.message}")
