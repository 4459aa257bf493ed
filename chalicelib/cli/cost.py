"""`stroem cost`: what a job used of AWS, and what that costs at list prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.jobs import JobId, Output
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of
from chalicelib.domain.cost_facts import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

ByMode = Annotated[Mode, typer.Option("--mode", help="How the job's workers reached the engine.")]


def cost(
    job: JobId,
    mode: ByMode = Mode.DIRECT,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show what a job cost, in requests and dollars at list prices."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    query = {"mode": mode.value}
    found = client_of(server, token).get(path_of("api", "jobs", job, "cost"), query)
    if form is Form.JSON:
        output.data(found)
    else:
        _show(found)


def _show(found: Mapping[str, Any]) -> None:
    kinds = [
        (one["kind"], one["count"], *_requests(one["units"]), _dollars(one["usd"]))
        for one in found["kinds"]
    ]
    output.table(("KIND", "COUNT", "WRITES", "READS", "SQS", "S3", "REQUESTS", "USD"), kinds)
    output.emit("")
    meters = [
        (one["service"], one["unit"], _number(one["units"]), _dollars(one["usd"]))
        for one in found["meters"]
    ]
    output.table(("SERVICE", "UNIT", "UNITS", "USD"), meters)
    if found["children"]:
        output.emit("")
        children = [
            (
                one["job_id"],
                one["step"],
                f"{one['workspace']}/{one['task_name']}",
                _dollars(one["usd"]),
            )
            for one in found["children"]
        ]
        output.table(("SUB-JOB", "STEP", "TASK", "USD"), children)
    output.emit("")
    output.fields(
        {
            "job": _dollars(found["usd"]),
            "with sub-jobs": _dollars(found["usd_whole"]) if found["children"] else None,
            "a million such jobs": f"${found['usd_per_million_jobs']:,.2f}",
        }
    )
    prices = found["prices"]
    output.say(
        f"List prices of {prices['region']} as of {prices['taken']}; workers by {found['mode']}."
    )
    if not found["is_whole"]:
        output.say("There are more sub-jobs than were counted.")


def _requests(units: Mapping[str, float]) -> tuple[str | None, ...]:
    """Return the units of the columns; PUTs and GETs of S3 are one."""
    columns = (
        ("dynamodb_write_units",),
        ("dynamodb_read_units",),
        ("sqs_requests",),
        ("s3_puts", "s3_gets"),
        ("api_requests",),
    )
    sums = (sum(units.get(name, 0) for name in names) for names in columns)
    return tuple(_number(found) if found else None for found in sums)


def _number(units: float) -> str:
    return f"{units:,.6f}".rstrip("0").rstrip(".")


def _dollars(usd: float) -> str:
    return f"${usd:,.9f}"
