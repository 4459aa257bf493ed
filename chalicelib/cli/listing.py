"""`stroem tasks`, `actions`, `inspect`: what a workspace in a folder holds.

`tasks --remote` asks the server instead.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.folder import Folder, definition_in, named_actions
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.workflow import Definition, FlowStep, Task

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Remote = Annotated[bool, typer.Option("--remote", "-r", help="Ask the server, not the folder.")]
Only = Annotated[
    str | None, typer.Option("--workspace", "-w", help="Only this workspace of the server.")
]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")]

_MASK = "********"


def tasks(
    path: Folder = Path(),
    form: Output = Form.TABLE,
    remote: Remote = False,
    workspace: Only = None,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the tasks of a folder's workspace.

    With --remote those of the server, of all its workspaces or of one.
    """
    if remote:
        _remote_tasks(server, token, workspace, form)
        return
    if workspace is not None:
        raise CommandError(Exit.USAGE, "-w names a workspace of the server: it needs --remote")
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
        for action in named_actions(definition_in(path))
    ]
    _show(("NAME", "TYPE", "LANGUAGE", "DESCRIPTION"), rows, form)


def inspect(task: TaskName, path: Folder = Path(), form: Output = Form.TABLE) -> None:
    """Show the inputs, steps, hooks and triggers of one task."""
    definition = definition_in(path)
    found = task_in(definition, task)
    if form is Form.JSON:
        output.data(_as_json(definition, task))
        return
    _show_task(definition, found)


def _as_json(definition: Definition, task: str) -> Any:  # noqa: ANN401 - JSON
    from chalicelib.domain.dump import dump  # noqa: PLC0415 - only for this form

    document: Any = dump(definition)
    found = document["definition"]["tasks"][task]
    for field in found.get("input", {}).values():
        if field.get("secret") and "default" in field:
            field["default"] = _MASK
    return found


def _show_task(definition: Definition, found: Task) -> None:
    output.fields({"task": found.key, "name": found.name, "description": found.description})
    _section(
        "Inputs",
        ("NAME", "TYPE", "REQUIRED", "DEFAULT"),
        [
            (name, field.type, field.required, _MASK if field.secret else field.default)
            for name, field in found.input.items()
        ],
    )
    _section(
        "Steps",
        ("STEP", "ACTION", "DEPENDS ON", "OPTIONS"),
        [
            (step.key, action_of(step), ", ".join(step.depends_on) or None, _options(step) or None)
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
        [(t.key, t.type.value) for t in definition.triggers.values() if t.task == found.key],
    )


def task_in(definition: Definition, name: str) -> Task:
    """Return the task.

    Raises:
        CommandError: there is none of that name; the message has those that there are.
    """
    task = definition.tasks.get(name)
    if task is None:
        near = get_close_matches(name, definition.tasks, n=1)
        there = ", ".join(sorted(definition.tasks)) or "none"
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {there}"
        raise CommandError(Exit.NOT_FOUND, f"there is no task {name!r}; {hint}")
    return task


def _remote_tasks(server: str, token: str | None, workspace: str | None, form: Form) -> None:
    client = client_of(server, token)
    if workspace is None:
        found = client.get("/api/tasks")
    else:
        from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

        found = client.get(path_of("api", "workspaces", workspace, "tasks"))
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (task["workspace"], task["id"], task.get("folder"), task.get("description"))
        for task in found
    ]
    output.table(("WORKSPACE", "TASK", "FOLDER", "DESCRIPTION"), rows)


def action_of(step: FlowStep) -> str:
    """Return the step's action; one that the step spells out itself has no name."""
    from chalicelib.domain.workflow import INLINE_PREFIX  # noqa: PLC0415 - `--version` stays quick

    return "(inline)" if step.action.startswith(INLINE_PREFIX) else step.action


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
        output.emit(f"\n{title}")
        output.table(headings, rows)


def _show(headings: tuple[str, ...], rows: Sequence[tuple[object, ...]], form: Form) -> None:
    if form is Form.TABLE:
        output.table(headings, rows)
        return
    names = [heading.lower() for heading in headings]
    output.data([dict(zip(names, row, strict=True)) for row in rows])
