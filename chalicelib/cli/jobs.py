"""`stroem jobs`, `status`: what ran, and where a job stands."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of
from chalicelib.domain.lifecycle import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.cli.client import Client


class RowsForm(StrEnum):
    """How jobs are printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Rows = Annotated[
    RowsForm, typer.Option("--output", "-o", help="json: one page; jsonl: an object a line.")
]
Watch = Annotated[
    bool, typer.Option("--watch", help="Go on, and show each job that changes; needs -w.")
]
Poll = Annotated[
    bool, typer.Option("--poll", help="Watch by asking again and again; no live connection.")
]
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
    watch: Watch = False,
    poll: Poll = False,
    form: Rows = RowsForm.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List jobs, newest first; with --watch go on until Ctrl-C."""
    if task is not None and workspace is None:
        raise CommandError(Exit.USAGE, "--task needs -w: a task's name is that of a workspace")
    _check_watching(workspace, search, form, watch=watch, poll=poll)
    client = client_of(server, token)
    if watch and workspace is not None:
        _watch(client, workspace, task, status, limit, form, poll=poll)
        return
    query = {
        "workspace": workspace,
        "task_name": task,
        "status": status,
        "search": search,
        "limit": limit,
    }
    _show(client.get("/api/jobs", query), form)


def _check_watching(
    workspace: str | None, search: str | None, form: RowsForm, *, watch: bool, poll: bool
) -> None:
    if not watch:
        if poll:
            raise CommandError(Exit.USAGE, "--poll says how to watch: it needs --watch")
        return
    if workspace is None:
        raise CommandError(Exit.USAGE, "--watch needs -w: the jobs of one workspace are watched")
    if search is not None:
        raise CommandError(Exit.USAGE, "--watch cannot --search: leave one of them out")
    if form is RowsForm.JSON:
        raise CommandError(
            Exit.USAGE, "what has no end is no JSON page: use -o jsonl with --watch"
        )


def _watch(
    client: Client,
    workspace: str,
    task: str | None,
    status: JobStatus | None,
    limit: int,
    form: RowsForm,
    *,
    poll: bool,
) -> None:
    from chalicelib.cli.watch import watch_jobs  # noqa: PLC0415 - `--version` stays quick

    def is_wanted(row: Mapping[str, Any]) -> bool:
        return task in (None, row["task_name"]) and status in (None, row["status"])

    is_raw = form is RowsForm.JSONL
    watch_jobs(client, workspace, is_wanted, limit=limit, polls=poll, is_raw=is_raw)


def _show(page: Any, form: RowsForm) -> None:  # noqa: ANN401 - JSON
    if form is RowsForm.JSON:
        output.data(page)
        return
    rows = page["items"]
    if form is RowsForm.JSONL:
        for row in rows:
            output.emit(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
        return
    from chalicelib.cli.showing import show_rows  # noqa: PLC0415 - `--version` stays quick

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
