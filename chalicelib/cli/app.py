"""The verbs of `stroem`, hung up by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.access import acl, roles
from chalicelib.cli.approvals import approve, reject
from chalicelib.cli.audit import audit
from chalicelib.cli.backfill import backfill, backfills
from chalicelib.cli.control import cancel, pause, rerun, resume
from chalicelib.cli.cost import cost
from chalicelib.cli.deliveries import deliveries
from chalicelib.cli.doctor import doctor
from chalicelib.cli.jobs import jobs, status
from chalicelib.cli.keys import keys
from chalicelib.cli.listing import actions, inspect, tasks
from chalicelib.cli.login import login, logout, passwd, whoami
from chalicelib.cli.logs import logs
from chalicelib.cli.run import run
from chalicelib.cli.sources import library, workspace
from chalicelib.cli.trigger import trigger
from chalicelib.cli.triggers import triggers
from chalicelib.cli.users import users
from chalicelib.cli.validate import validate
from chalicelib.cli.worker_groups import worker_groups
from chalicelib.cli.workspaces import workspaces
from chalicelib.settings import VERSION

app = typer.Typer(
    name="stroem",
    help="Write, run and watch Strøm workflows.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "On this machine": (run, validate, tasks, actions, inspect),
    "Against a server": (
        trigger,
        status,
        logs,
        jobs,
        cost,
        deliveries,
        cancel,
        rerun,
        backfill,
        pause,
        resume,
        approve,
        reject,
        workspaces,
        audit,
        login,
        logout,
        whoami,
        passwd,
        doctor,
    ),
}
for _panel, _verbs in _VERBS.items():
    for _verb in _verbs:
        app.command(rich_help_panel=_panel)(_verb)
app.add_typer(workspace, name="workspace")
app.add_typer(library, name="library")
app.add_typer(acl, name="acl")
app.add_typer(roles, name="roles")
app.add_typer(triggers, name="triggers")
app.add_typer(backfills, name="backfills")
app.add_typer(users, name="users")
app.add_typer(keys, name="keys")
app.add_typer(worker_groups, name="worker-groups")


def _print_version(value: bool) -> None:  # noqa: FBT001 - what a flag's callback gets
    if value:
        output.emit(f"stroem {VERSION}")
        raise typer.Exit


@app.callback()
def configure(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Print no colour; NO_COLOR does the same.")
    ] = False,
) -> None:
    """Write, run and watch Strøm workflows."""
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        output.without_colour()
