"""`stroem trigger`: start a job on a server, and wait for it or watch it if asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit, exit_of
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, Workspace, client_of
from chalicelib.domain.workflow import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.cli.client import Client

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")]
Pairs = Annotated[
    list[str] | None, typer.Option("-i", metavar="KEY=VALUE", help="One input; repeatable.")
]
Whole = Annotated[
    str | None, typer.Option("--input", help="All inputs as JSON, @file, or - for stdin.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end; exit as the job ended.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Print the log while waiting.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=0, help="Seconds to wait at most; exit 6 then.")
]
Key = Annotated[
    str | None, typer.Option("--idempotency-key", help="The same key makes the same job.")
]
Urgency = Annotated[
    Priority | None, typer.Option("--priority", help="Before or behind others that wait.")
]
Poll = Annotated[
    bool, typer.Option("--poll", help="Follow by asking again and again; no live connection.")
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]


def trigger(
    task: TaskName,
    workspace: Workspace = "default",
    pairs: Pairs = None,
    whole: Whole = None,
    wait: Wait = False,
    follow: Follow = False,
    timeout: Timeout = None,
    poll: Poll = False,
    key: Key = None,
    priority: Urgency = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Start a job on a server.

    With --wait or --follow the exit code tells how it ended: 0 completed, 1 failed, 5 cancelled.
    """
    check_waiting(timeout, wait=wait, follow=follow)
    if poll and not follow:
        raise CommandError(Exit.USAGE, "--poll says how to follow: it needs --follow")
    client = client_of(server, token)
    told = {"priority": priority.value if priority else None, "watch": follow or None}
    job_id = _execute(client, workspace, task, pairs or [], whole, key, told)
    attend(client, job_id, wait=wait, follow=follow, timeout=timeout, form=form, poll=poll)


def check_waiting(timeout: float | None, *, wait: bool, follow: bool) -> None:
    """Raise CommandError where a timeout is given and nothing is waited for."""
    if timeout is not None and not (wait or follow):
        raise CommandError(Exit.USAGE, "--timeout needs --wait or --follow")


def attend(
    client: Client,
    job_id: str,
    *,
    wait: bool,
    follow: bool,
    timeout: float | None,
    form: Form,
    poll: bool = False,
) -> None:
    """Tell of a job that was just made, and see it to its end if asked; then exit as it ended.

    Raises:
        CommandError: `timeout` ran out.
    """
    from chalicelib.cli.follow import say_end  # noqa: PLC0415 - `--version` stays quick

    if form is Form.TABLE or follow:
        # Among a log's lines it is chatter; by itself it is what was asked for.
        output.emit(f"Job created: {job_id}", sys.stderr if follow else None)
    if not (wait or follow):
        if form is Form.JSON:
            output.data({"job_id": job_id})
        return
    job = _await(client, job_id, timeout, form if follow else None, is_live=not poll)
    say_end(job)
    if form is Form.JSON:
        output.data(job)
    raise typer.Exit(exit_of(job["status"]))


def _execute(
    client: Client,
    workspace: str,
    task: str,
    pairs: list[str],
    whole: str | None,
    key: str | None,
    told: Mapping[str, object],
) -> str:
    """Return the id of the new job; `told` are members of the request that may be None."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same
    from chalicelib.cli.inputs import Field, read_input  # noqa: PLC0415 - the same

    path = path_of("api", "workspaces", workspace, "tasks", task)
    fields = client.get(path)["input"] if pairs or whole else {}
    known = {
        name: Field(field.get("type", "string"), bool(field.get("multiple")))
        for name, field in fields.items()
    }
    given = read_input(pairs, whole, known)
    headers = {"Idempotency-Key": key} if key else None
    # A server that does not know of it need not see it.
    body = {"input": given} | {name: value for name, value in told.items() if value is not None}
    answer = client.post(f"{path}/execute", body, headers)
    return str(answer["job_id"])


def _await(
    client: Client, job_id: str, timeout_s: float | None, shown: Form | None, *, is_live: bool
) -> Any:  # noqa: ANN401 - JSON
    from chalicelib.cli.follow import Follower  # noqa: PLC0415 - the same

    follower = Follower(
        client,
        job_id,
        out=sys.stderr if shown is Form.JSON else None,
        is_silent=shown is None,
        is_live=is_live,
    )
    try:
        return follower.to_end(timeout_s)
    except KeyboardInterrupt:
        raise CommandError(
            Exit.INTERRUPTED, f"detached; job {job_id} goes on (`stroem cancel {job_id}` ends it)"
        ) from None
