"""`stroem cancel`, `pause`, `resume`, `rerun`: change where a job goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.jobs import JobId
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of
from chalicelib.cli.trigger import Follow, Key, Pairs, Timeout, Wait, Whole, attend, check_waiting
from chalicelib.domain.lifecycle import JobStatus, StepStatus

if TYPE_CHECKING:
    from chalicelib.cli.client import Client
    from chalicelib.cli.inputs import Field

MaybeJobId = Annotated[str | None, typer.Argument(metavar="JOB", help="Id of the job.")]
TaskPath = Annotated[
    str | None, typer.Option("--task", metavar="WORKSPACE/TASK", help="A task's triggers instead.")
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Kill = Annotated[bool, typer.Option("--kill", help="Give the steps that run no grace.")]
Stopped = Annotated[bool, typer.Option("--wait", help="Wait until all steps have ended.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="STEP", help="From this step on, and what failed.")
]
Failed = Annotated[bool, typer.Option("--failed", help="Only what failed, and what is behind it.")]
Newest = Annotated[
    bool, typer.Option("--newest", help="On the newest revision, not on the job's own.")
]

_POLL_S = 0.25


def cancel(
    job: JobId,
    kill: Kill = False,
    wait: Stopped = False,
    timeout: Timeout = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Cancel a job that has not ended. With --kill also one that is being cancelled."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    if timeout is not None and not wait:
        raise CommandError(Exit.USAGE, "--timeout needs --wait")
    client = client_of(server, token)
    answer = client.post(path_of("api", "jobs", job, "cancel"), {"kill": kill})
    if wait:
        _show_stopped(_stopped(client, job, timeout), form)
    elif form is Form.JSON:
        output.data({"job_id": job, **answer})
    else:
        output.emit(f"{job}: {answer['status']}")


def pause(
    job: MaybeJobId = None,
    task: TaskPath = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Let nothing new begin in a job and its sub-jobs; or, with --task, pause its triggers."""
    _switch("pause", job, task, form, client_of(server, token))


def resume(
    job: MaybeJobId = None,
    task: TaskPath = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Let a paused job and its sub-jobs go on; or, with --task, its triggers."""
    _switch("resume", job, task, form, client_of(server, token))


def rerun(
    job: JobId,
    start: From = None,
    failed: Failed = False,
    newest: Newest = False,
    pairs: Pairs = None,
    whole: Whole = None,
    wait: Wait = False,
    follow: Follow = False,
    timeout: Timeout = None,
    key: Key = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Run a job that has ended again, with its inputs: whole, from a step, or what failed."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick
    from chalicelib.cli.inputs import read_input  # noqa: PLC0415 - the same

    if start is not None and failed:
        raise CommandError(Exit.USAGE, "--from and --failed exclude each other")
    check_waiting(timeout, wait=wait, follow=follow)
    client = client_of(server, token)
    fields = _fields(client, job) if pairs or whole else {}
    body = {
        "from": "failed" if failed else start or "start",
        "revision": "newest" if newest else "same",
        "input": read_input(pairs or [], whole, fields),
    }
    headers = {"Idempotency-Key": key} if key else None
    answer = client.post(path_of("api", "jobs", job, "rerun"), body, headers)
    attend(client, str(answer["job_id"]), wait=wait, follow=follow, timeout=timeout, form=form)


def _switch(verb: str, job: str | None, task: str | None, form: Form, client: Client) -> None:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    if (job is None) is (task is None):
        raise CommandError(Exit.USAGE, f"{verb} needs a JOB, or --task WORKSPACE/TASK")
    if job is not None:
        path, named = path_of("api", "jobs", job, verb), {"job_id": job}
    else:
        workspace, _, name = (task or "").partition("/")
        if not workspace or not name:
            raise CommandError(Exit.USAGE, f"--task {task!r} must have the form WORKSPACE/TASK")
        path = path_of("api", "workspaces", workspace, "tasks", name, verb)
        named = {"workspace": workspace, "task": name}
    answer = client.post(path)
    if form is Form.JSON:
        output.data({**named, **answer})
    else:
        output.emit(f"{job or task}: {'paused' if answer['paused'] else 'goes on'}")


def _fields(client: Client, job: str) -> dict[str, Field]:
    """Return the inputs of the task that the job ran, as they are now."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same
    from chalicelib.cli.inputs import Field  # noqa: PLC0415 - the same

    found = client.get(path_of("api", "jobs", job))
    path = path_of("api", "workspaces", found["workspace"], "tasks", found["task_name"])
    fields = client.get(path)["input"]
    return {
        name: Field(field.get("type", "string"), bool(field.get("multiple")))
        for name, field in fields.items()
    }


def _stopped(client: Client, job: str, timeout_s: float | None) -> dict[str, Any]:
    """Return the job when all of its steps have ended."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    started = time.monotonic()
    while True:
        found: dict[str, Any] = client.get(path_of("api", "jobs", job))
        has_ended = JobStatus(found["status"]).is_terminal
        if has_ended and all(StepStatus(one["status"]).is_terminal for one in found["steps"]):
            return found
        if timeout_s is not None and time.monotonic() - started > timeout_s:
            why = f"steps of job {job} still run after {timeout_s:g}s; they are being stopped"
            raise CommandError(Exit.TIMED_OUT, why)
        time.sleep(_POLL_S)


def _show_stopped(job: dict[str, Any], form: Form) -> None:
    from chalicelib.cli.showing import show_job  # noqa: PLC0415 - the same

    if form is Form.JSON:
        output.data(job)
    else:
        show_job(job)
