"""`stroem deliveries`: what was told outside of a job's end, and once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.jobs import JobId, Output
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Again = Annotated[
    str | None, typer.Option("--redeliver", metavar="ID", help="Send this one once more.")
]


def deliveries(
    job: JobId,
    again: Again = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the notifications of a job's end, and how sending them went."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    client = client_of(server, token)
    path = ("api", "jobs", job, "deliveries")
    if again is not None:
        one = client.post(path_of(*path, again, "redeliver"))
        if form is Form.JSON:
            output.data(one)
        else:
            output.emit(f"{one['delivery_id']} is sent again within a minute")
        return
    found = client.get(path_of(*path))
    if form is Form.JSON:
        output.data(found)
    elif found["items"]:
        headings = ("DELIVERY", "STATE", "TRIES", "LAST", "NEXT", "TO")
        output.table(headings, [_row(one) for one in found["items"]])
    else:
        output.say("Nobody is told of this job's end.")


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    last = one["tries"][-1] if one["tries"] else {}
    return (
        one["delivery_id"],
        one["state"],
        len(one["tries"]),
        last.get("error") or last.get("status"),
        output.local_time(one["next_try_at"]),
        one["to"],
    )
