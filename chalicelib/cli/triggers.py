"""`stroem triggers`: what a folder holds; and what runs by itself on a server, and when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.folder import Folder, definition_in
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, Workspace, client_of
from chalicelib.cli.trigger import Follow, Key, Timeout, Wait, attend, check_waiting

if TYPE_CHECKING:
    from chalicelib.cli.client import Client

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
TriggerPath = Annotated[
    str, typer.Argument(metavar="WORKSPACE/TRIGGER", help="The trigger on the server.")
]
Count = Annotated[int, typer.Option("--count", "-n", min=1, max=200, help="How many.")]

triggers = typer.Typer(
    help="List the triggers of a folder, or see to those of a server.",
    invoke_without_command=True,
)


@triggers.callback()
def listed(context: typer.Context, path: Folder = Path(), form: Output = Form.TABLE) -> None:
    """List the triggers of a folder's workspace; a verb asks the server instead."""
    if context.invoked_subcommand is not None:
        return
    rows = [
        (t.key, t.type.value, t.task, t.enabled, t.cron or t.name or t.target_task)
        for t in definition_in(path).triggers.values()
    ]
    headings = ("NAME", "TYPE", "TASK", "ENABLED", "BY")
    if form is Form.TABLE:
        output.table(headings, rows)
        return
    names = [heading.lower() for heading in headings]
    output.data([dict(zip(names, row, strict=True)) for row in rows])


@triggers.command("ls")
def ls(
    workspace: Workspace = "default",
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the triggers of a workspace on a server, with their next runs."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    found = client_of(server, token).get(path_of("api", "workspaces", workspace, "triggers"))
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (one["name"], one["type"], one["task"], _state(one), one.get("cron"), _next(one))
        for one in found
    ]
    output.table(("NAME", "TYPE", "TASK", "STATE", "CRON", "NEXT RUN"), rows)
    for one in found:
        if one.get("error"):
            output.say(f"{one['name']}: no job at {one['error_at']}: {one['error']}")


@triggers.command("next")
def next_(
    trigger: TriggerPath,
    count: Count = 5,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Tell when a schedule runs next."""
    found = client_of(server, token).get(trigger_path(trigger), {"count": count})
    if form is Form.JSON:
        output.data(found["next_runs"])
        return
    for at in found["next_runs"]:
        output.emit(f"{output.local_time(at)}  ({at})")
    if not found["next_runs"]:
        output.say(f"{trigger} does not run by itself: it is {_state(found)}")


@triggers.command("run")
def run(
    trigger: TriggerPath,
    wait: Wait = False,
    follow: Follow = False,
    timeout: Timeout = None,
    key: Key = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Run a trigger's task now, with the trigger's input."""
    check_waiting(timeout, wait=wait, follow=follow)
    client = client_of(server, token)
    headers = {"Idempotency-Key": key} if key else None
    answer = client.post(trigger_path(trigger, "run"), {}, headers)
    attend(client, str(answer["job_id"]), wait=wait, follow=follow, timeout=timeout, form=form)


@triggers.command("pause")
def pause(
    trigger: TriggerPath,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Pause a trigger for now; its jobs go on."""
    _switch(client_of(server, token), trigger, "pause", form)


@triggers.command("resume")
def resume(
    trigger: TriggerPath,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Let a paused trigger go on with its next time."""
    _switch(client_of(server, token), trigger, "resume", form)


@triggers.command("enable")
def enable(
    trigger: TriggerPath,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Enable a trigger on this server, whatever its file says."""
    _switch(client_of(server, token), trigger, "enable", form)


@triggers.command("disable")
def disable(
    trigger: TriggerPath,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Disable a trigger on this server, whatever its file says."""
    _switch(client_of(server, token), trigger, "disable", form)


def trigger_path(trigger: str, *verb: str) -> str:
    """Return the address of a trigger that is written WORKSPACE/TRIGGER.

    Raises:
        CommandError: it is not.
    """
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    workspace, slash, name = trigger.partition("/")
    if not (workspace and slash and name):
        raise CommandError(Exit.USAGE, f"{trigger!r} must have the form WORKSPACE/TRIGGER")
    return path_of("api", "workspaces", workspace, "triggers", name, *verb)


def _switch(client: Client, trigger: str, verb: str, form: Form) -> None:
    answer = client.post(trigger_path(trigger, verb))
    if form is Form.JSON:
        output.data(answer)
    else:
        output.emit(f"{trigger}: {_state(answer)}")


def _state(found: dict[str, Any]) -> str:
    if not found["enabled"]:
        return "disabled"
    return "paused" if found["paused"] else "on"


def _next(found: dict[str, Any]) -> str | None:
    return output.local_time(found["next_runs"][0]) if found["next_runs"] else None
