"""`stroem backfill` and `stroem backfills`: run a schedule for times that have passed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, Workspace, client_of
from chalicelib.cli.triggers import TriggerPath, trigger_path

if TYPE_CHECKING:
    from chalicelib.cli.client import Client

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
First = Annotated[
    str, typer.Option("--from", metavar="TIME", help="First time, such as 2026-11-01T00:00:00Z.")
]
Last = Annotated[str, typer.Option("--to", metavar="TIME", help="Last time, included.")]
Parallel = Annotated[
    int, typer.Option("--max-parallel", min=1, max=50, help="Jobs that run at a time.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell which times these are.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until all its jobs have ended.")]
Id = Annotated[str, typer.Argument(metavar="BACKFILL", help="Id of the backfill.")]

_POLL_S = 2.0
_ENDED = {"completed": Exit.OK, "failed": Exit.JOB_FAILED, "cancelled": Exit.CANCELLED}

backfills = typer.Typer(help="Follow and cancel backfills.", no_args_is_help=True)


def backfill(
    trigger: TriggerPath,
    first: First,
    last: Last,
    max_parallel: Parallel = 1,
    dry_run: DryRun = False,
    wait: Wait = False,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Run a schedule for each of its times between two that have passed.

    A time that has a job already is left alone. The server does the work; nobody has to wait.
    """
    client = client_of(server, token)
    body = {"from": first, "to": last, "max_parallel": max_parallel, "preview": dry_run}
    answer = client.post(trigger_path(trigger, "backfill"), body)
    if dry_run:
        _show_preview(answer, form)
        return
    begun = answer["backfill"]
    if wait:
        begun = _awaited(client, begun)
    _show(begun, form)
    if wait:
        raise typer.Exit(_ENDED[begun["status"]])


@backfills.command("ls")
def ls(
    workspace: Workspace = "default",
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the backfills of a workspace, newest first."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    found = client_of(server, token).get(path_of("api", "workspaces", workspace, "backfills"))
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (one["backfill_id"], one["trigger"], one["status"], _done(one), one["first"], one["last"])
        for one in found
    ]
    output.table(("BACKFILL", "TRIGGER", "STATUS", "DONE", "FIRST", "LAST"), rows)


@backfills.command("status")
def status(
    backfill_id: Id,
    workspace: Workspace = "default",
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show how far a backfill has come."""
    _show(client_of(server, token).get(_path(workspace, backfill_id)), form)


@backfills.command("cancel")
def cancel(
    backfill_id: Id,
    workspace: Workspace = "default",
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Make no more jobs, and cancel those of it that have not ended."""
    _show(client_of(server, token).post(_path(workspace, backfill_id, "cancel")), form)


def _path(workspace: str, backfill_id: str, *verb: str) -> str:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    return path_of("api", "workspaces", workspace, "backfills", backfill_id, *verb)


def _awaited(client: Client, found: dict[str, Any]) -> dict[str, Any]:
    """Return the backfill when it has ended."""
    path = _path(found["workspace"], found["backfill_id"])
    try:
        while found["status"] == "running":
            time.sleep(_POLL_S)
            found = client.get(path)
    except KeyboardInterrupt:
        raise CommandError(
            Exit.INTERRUPTED, f"detached; backfill {found['backfill_id']} goes on"
        ) from None
    return found


def _show_preview(answer: dict[str, Any], form: Form) -> None:
    if form is Form.JSON:
        output.data(answer)
        return
    rows = [
        (one["at"], "left as it is" if one["exists"] else "to be made") for one in answer["times"]
    ]
    output.table(("TIME", "JOB"), rows)
    more = answer["total"] - len(rows)
    output.emit(f"{answer['total']} times{f', {more} more than shown' if more else ''}")


def _show(found: dict[str, Any], form: Form) -> None:
    if form is Form.JSON:
        output.data(found)
        return
    names = ("backfill_id", "trigger", "status", "first", "last", "max_parallel")
    output.fields(
        {
            **{name: found[name] for name in names},
            "done": _done(found),
            "jobs": f"{found['running']} running, {found['waiting']} waiting",
            "error": found.get("error"),
        }
    )


def _done(found: dict[str, Any]) -> str:
    ended = found["made"] - found["running"] - found["waiting"]
    left = f", {found['existing']} had a job" if found["existing"] else ""
    return f"{ended} of {found['total']}{left}"
