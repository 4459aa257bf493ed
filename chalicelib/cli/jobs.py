"""`stroem jobs`, `status`: what ran, and where a job stands."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of
from chalicelib.domain.lifecycle import JobStatus

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Only = Annotated[str | None, typer.Option("--workspace", "-w", help="Only this workspace.")]
TaskOnly = Annotated[str | None, typer.Option("--task", help="Only this task; needs -w.")]
Status = Annotated[JobStatus | None, typer.Option("--status", help="Only jobs of this status.")]
Search = Annotated[str | None, typer.Option("--search", help="Part of a name or id.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=200, help="How many.")]


def jobs(
    workspace: Only = None,
    task: TaskOnly = None,
    status: Status = None,
    search: Search = None,
    limit: Limit = 20,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List jobs, newest first."""
    if task is not None and workspace is None:
        raise CommandError(Exit.USAGE, "--task needs -w: a task's name is that of a workspace")
    query = {
        "workspace": workspace,
        "task_name": task,
        "status": status,
        "search": search,
        "limit": limit,
    }
    page = client_of(server, token).get("/api/jobs", query)
    if form is Form.JSON:
        output.data(page)
        return
    from chalicelib.cli.showing import show_rows  # noqa: PLC0415 - `--version` stays quick

    rows = page["items"]
    show_rows(rows)
    output.say(f"{len(rows)} of {page['total']}")


def status(
    job: JobId, form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None
) -> None:
    """Show where a job and each of its steps stand."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    found = client_of(server, token).get(path_of("api", "jobs", job))
    if form is Form.JSON:
        output.data(found)
    else:
        from chalicelib.cli.showing import show_job  # noqa: PLC0415 - the same

        show_job(found)
