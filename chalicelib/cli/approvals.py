"""`stroem approve`, `stroem reject`: answer a step that waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.jobs import JobId
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from chalicelib.cli.client import Client
    from chalicelib.cli.inputs import Field

StepName = Annotated[
    str, typer.Argument(metavar="STEP", help="The suspended step; an instance as `name[3]`.")
]
Pairs = Annotated[
    list[str] | None, typer.Option("-i", metavar="KEY=VALUE", help="One field; repeatable.")
]
Whole = Annotated[
    str | None, typer.Option("--input", help="All fields as JSON, @file, or - for stdin.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; 4,096 bytes at most.")]
Links = Annotated[
    bool, typer.Option("--links", help="Answer nothing: print one-click links to hand on.")
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]


def approve(
    job: JobId,
    step: StepName,
    pairs: Pairs = None,
    whole: Whole = None,
    links: Links = False,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Approve a suspended step; its job goes on."""
    from chalicelib.cli.inputs import read_input  # noqa: PLC0415 - `--version` stays quick

    client = client_of(server, token)
    if links:
        _links(client, job, step, form)
        return
    fields = _fields(client, job, step) if pairs or whole else {}
    given = read_input(pairs or [], whole, fields)
    _answer(client, job, step, {"approved": True, "input": given}, form)


def reject(
    job: JobId,
    step: StepName,
    reason: Reason = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Reject a suspended step; it fails."""
    body = {"approved": False, "rejection_reason": reason}
    _answer(client_of(server, token), job, step, body, form)


def _fields(client: Client, job: str, step: str) -> dict[str, Field]:
    """Return the form's fields; an instance has those of its loop."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same
    from chalicelib.cli.inputs import Field  # noqa: PLC0415 - the same

    found = client.get(path_of("api", "jobs", job))["steps"]
    steps = {one["step_name"]: one for one in found}
    key = step if step in steps else step.partition("[")[0]
    if key not in steps:
        raise CommandError(Exit.NOT_FOUND, f"job {job} has no step {step!r}")
    fields = steps[key].get("approval_fields") or {}
    return {name: Field(one["type"], one["multiple"]) for name, one in fields.items()}


def _answer(client: Client, job: str, step: str, body: object, form: Form) -> None:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    answer = client.post(path_of("api", "jobs", job, "steps", step, "approve"), body)
    if form is Form.JSON:
        output.data({"job_id": job, "step_name": step, **answer})
    else:
        output.emit(f"{job} {step}: {answer['status']}")


def _links(client: Client, job: str, step: str, form: Form) -> None:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    found = client.post(path_of("api", "jobs", job, "steps", step, "links"))
    if form is Form.JSON:
        output.data(found)
    elif found["approve"] is None:
        raise CommandError(
            Exit.CONFLICT,
            "this server makes no links: it needs STROEM_LINK_KEY and STROEM_BASE_URL",
        )
    else:
        output.fields(found)
