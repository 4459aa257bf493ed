"""`stroem tasks`, `actions`, `triggers`, `inspect`: what a workspace in a folder holds.

`tasks --remote` asks the server instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.folder import Folder, definition_in
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.workflow import Definition, FlowStep, Task

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Remote = Annotated[bool, typer.Option("--remote", "-r", help="Ask the server, not the folder.")]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")]


def tasks(
    path: Folder = Path(),
    form: Output = Form.TABLE,
    remote: Remote = False,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the tasks of a folder's workspace, or with --remote those of the server."""
    if remote:
        _remote_tasks(server, token, form)
        return
    definition = definition_in(path)
    rows = [
        (task.key, task.folder, len(task.flow), task.mode, task.description)
        for task in definition.tasks.values()
    ]
    _show(("NAME", "FOLDER", "STEPS", "MODE", "DESCRIPTION"), rows, form)


def actions(path: Folder = Path(), form: Output = Form.TABLE) -> None:
    """List the actions of a folder's workspace."""
    rows = [
        (action.key, action.type.value, action.language.value, action.description)
        for action in definition_in(path).actions.values()
        if not action.key.startswith("_inline:")
    ]
    _show(("NAME", "TYPE", "LANGUAGE", "DESCRIPTION"), rows, form)


def triggers(path: Folder = Path(), form: Output = Form.TABLE) -> None:
    """List the triggers of a folder's workspace."""
    rows = [
        (t.key, t.type.value, t.task, t.enabled, t.cron or t.name or t.target_task)
        for t in definition_in(path).triggers.values()
    ]
    _show(("NAME", "TYPE", "TASK", "ENABLED", "BY"), rows, form)


def inspect(task: TaskName, path: Folder = Path(), form: Output = Form.TABLE) -> None:
    """Show the inputs, steps, hooks and triggers of one task."""
    definition = definition_in(path)
    found = task_in(definition, task)
    if form is Form.JSON:
        from chalicelib.domain.dump import dump  # noqa: PLC0415 - only for this form

        output.data(dump(definition)["tasks"][task])  # type: ignore[index,call-overload]  # the dump of a task is an object
        return
    output.fields({"task": found.key, "name": found.name, "description": found.description})
    _section(
        "Inputs",
        ("NAME", "TYPE", "REQUIRED", "DEFAULT"),
        [
            (name, field.type, field.required, "********" if field.secret else field.default)
            for name, field in found.input.items()
        ],
    )
    _section(
        "Steps",
        ("STEP", "ACTION", "DEPENDS ON", "OPTIONS"),
        [
            (step.key, step.action, ", ".join(step.depends_on) or None, _options(step) or None)
            for step in found.flow.values()
        ],
    )
    _section(
        "Hooks",
        ("EVENT", "ACTION"),
        [
            (event, hook.action)
            for event in ("on_success", "on_error", "on_suspended", "on_cancel")
            for hook in getattr(found.hooks, event) or ()
        ],
    )
    _section(
        "Triggers",
        ("TRIGGER", "TYPE"),
        [(t.key, t.type.value) for t in definition.triggers.values() if t.task == task],
    )


def task_in(definition: Definition, name: str) -> Task:
    """Return the task.

    Raises:
        CommandError: there is none of that name; the message has those that there are.
    """
    task = definition.tasks.get(name)
    if task is None:
        there = ", ".join(sorted(definition.tasks)) or "none"
        raise CommandError(Exit.NOT_FOUND, f"there is no task {name!r}; there are: {there}")
    return task


def _remote_tasks(server: str, token: str | None, form: Form) -> None:
    found = client_of(server, token).get("/api/tasks")
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (task["workspace"], task["id"], task.get("folder"), task.get("description"))
        for task in found
    ]
    output.table(("WORKSPACE", "TASK", "FOLDER", "DESCRIPTION"), rows)


def _options(step: FlowStep) -> str:
    given = {
        "continue on failure": step.continue_on_failure,
        "when": step.when is not None,
        "for each": step.for_each is not None,
        "retry": step.retry is not None,
        "timeout": step.timeout_s is not None,
    }
    return ", ".join(name for name, is_given in given.items() if is_given)


def _section(title: str, headings: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        print(f"\n{title}")
        output.table(headings, rows)


def _show(headings: tuple[str, ...], rows: Sequence[tuple[object, ...]], form: Form) -> None:
    if form is Form.TABLE:
        output.table(headings, rows)
        return
    names = [heading.lower() for heading in headings]
    output.data([dict(zip(names, row, strict=True)) for row in rows])
