"""`stroem logs`: what a job wrote."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.jobs import JobId
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from chalicelib.cli.client import Client


class LogForm(StrEnum):
    """How lines are printed."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")]
Step = Annotated[
    str | None, typer.Option("--step", help="Only this step; `_server` is what the engine did.")
]
Output = Annotated[
    LogForm, typer.Option("--output", "-o", help="json: one array; jsonl: an object a line.")
]


def logs(
    job: JobId,
    follow: Follow = False,
    step: Step = None,
    form: Output = LogForm.TEXT,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print a job's log, each line behind its step."""
    client = client_of(server, token)
    if follow:
        _follow(client, job, step, form)
    else:
        _print(client, job, step, form)


def _follow(client: Client, job: str, step: str | None, form: LogForm) -> None:
    from chalicelib.cli.follow import Follower, say_end  # noqa: PLC0415 - `--version` stays quick

    if form is LogForm.JSON:
        raise CommandError(
            Exit.USAGE, "what has no end yet is no JSON array: use -o jsonl with -f"
        )
    if step is not None:
        # Asked for once by itself: a step that the job does not have is a mistake to tell.
        client.get(_path(job, step), {"after": 0})
    say_end(Follower(client, job, step, is_raw=form is LogForm.JSONL).to_end())


def _print(client: Client, job: str, step: str | None, form: LogForm) -> None:
    from chalicelib.cli.follow import new_lines  # noqa: PLC0415 - the same

    lines = (line for line, _ in new_lines(client, _path(job, step), 0))
    if form is LogForm.JSON:
        output.data([json.loads(line) for line in lines])
        return
    for line in lines:
        output.emit(line if form is LogForm.JSONL else output.prefixed(json.loads(line)))


def _path(job: str, step: str | None) -> str:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    if step is None:
        return path_of("api", "jobs", job, "logs")
    return path_of("api", "jobs", job, "steps", step, "logs")
