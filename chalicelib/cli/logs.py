"""`stroem logs`: what a job wrote."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit, exit_of
from chalicelib.cli.jobs import JobId
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.cli.choosing import Choice
    from chalicelib.cli.client import Client


class LogForm(StrEnum):
    """How lines are printed."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


Follow = Annotated[
    bool,
    typer.Option("--follow", "-f", help="Go on until the job has ended; exit as it ended."),
]
Step = Annotated[
    str | None, typer.Option("--step", help="Only this step; `_server` is what the engine did.")
]
Output = Annotated[
    LogForm, typer.Option("--output", "-o", help="json: one array; jsonl: an object a line.")
]
Since = Annotated[
    str | None, typer.Option("--since", help="Only newer lines: 10m ago, or an RFC 3339 time.")
]
Tail = Annotated[
    int | None, typer.Option("--tail", min=0, help="Only the last so many of what is there.")
]
Failed = Annotated[
    bool, typer.Option("--failed", help="Only steps that failed; exit 1 if there is one.")
]
Poll = Annotated[bool, typer.Option("--poll", help="Ask again and again; no live connection.")]


def logs(
    job: JobId,
    follow: Follow = False,
    step: Step = None,
    since: Since = None,
    tail: Tail = None,
    failed: Failed = False,
    poll: Poll = False,
    form: Output = LogForm.TEXT,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print a job's log, each line behind its step.

    With --follow the exit code tells how the job ended: 0 completed, 1 failed, 5 cancelled.
    """
    _check(follow=follow, step=step, failed=failed, poll=poll, form=form)
    from chalicelib.cli.choosing import Choice, read_since  # noqa: PLC0415 - `--version` stays quick

    choice = Choice(read_since(since), tail)
    client = client_of(server, token)
    if follow:
        _follow(client, job, step, choice, form, failed=failed, poll=poll)
    elif failed:
        _print_failed(client, job, choice, form)
    else:
        from chalicelib.cli.follow import rows_of  # noqa: PLC0415 - the same

        _print(choice.of(rows_of(client, job, step)), form)


def _check(*, follow: bool, step: str | None, failed: bool, poll: bool, form: LogForm) -> None:
    if follow and form is LogForm.JSON:
        raise CommandError(
            Exit.USAGE, "what has no end yet is no JSON array: use -o jsonl with -f"
        )
    if poll and not follow:
        raise CommandError(Exit.USAGE, "--poll says how to follow: it needs -f")
    if failed and step is not None:
        raise CommandError(Exit.USAGE, "--failed and --step both choose steps: give one of them")


def _follow(
    client: Client,
    job: str,
    step: str | None,
    choice: Choice,
    form: LogForm,
    *,
    failed: bool,
    poll: bool,
) -> None:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same
    from chalicelib.cli.follow import Follower, say_end  # noqa: PLC0415 - the same

    if step is not None:
        # Asked for once by itself: a step that the job does not have is a mistake to tell.
        client.get(path_of("api", "jobs", job, "steps", step, "logs"), {"after": 0})
    follower = Follower(
        client,
        job,
        step,
        is_raw=form is LogForm.JSONL,
        is_live=not poll,
        only_failed=failed,
        choice=choice,
    )
    ended = follower.to_end()
    say_end(ended)
    raise typer.Exit(exit_of(ended["status"]))


def _print_failed(client: Client, job: str, choice: Choice, form: LogForm) -> None:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same
    from chalicelib.cli.follow import failed_of, rows_of  # noqa: PLC0415 - the same

    steps = failed_of(client.get(path_of("api", "jobs", job))["steps"])
    _print((row for step in steps for row in choice.of(rows_of(client, job, step))), form)
    if not steps:
        output.say(f"no step of job {job} has failed")
        return
    raise typer.Exit(Exit.JOB_FAILED)


def _print(rows: Iterable[Mapping[str, str]], form: LogForm) -> None:
    from chalicelib.cli.follow import raw  # noqa: PLC0415 - the same

    if form is LogForm.JSON:
        output.data(list(rows))
        return
    for row in rows:
        output.emit(raw(row) if form is LogForm.JSONL else output.prefixed(row))
