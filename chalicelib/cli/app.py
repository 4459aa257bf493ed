"""The verbs of `stroem`, hung up by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.approvals import approve, reject
from chalicelib.cli.control import cancel, pause, rerun, resume
from chalicelib.cli.cost import cost
from chalicelib.cli.doctor import doctor
from chalicelib.cli.jobs import jobs, status
from chalicelib.cli.listing import actions, inspect, tasks, triggers
from chalicelib.cli.logs import logs
from chalicelib.cli.run import run
from chalicelib.cli.trigger import trigger
from chalicelib.cli.validate import validate
from chalicelib.cli.workspaces import workspace, workspaces
from chalicelib.settings import VERSION

app = typer.Typer(
    name="stroem",
    help="Write, run and watch Strøm workflows.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "On this machine": (run, validate, tasks, actions, triggers, inspect),
    "Against a server": (
        trigger,
        status,
        logs,
        jobs,
        cost,
        cancel,
        rerun,
        pause,
        resume,
        approve,
        reject,
        workspaces,
        doctor,
    ),
}
for _panel, _verbs in _VERBS.items():
    for _verb in _verbs:
        app.command(rich_help_panel=_panel)(_verb)
app.add_typer(workspace, name="workspace")


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
