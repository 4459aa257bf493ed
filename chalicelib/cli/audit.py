"""`stroem audit`: what was done on a server, by whom."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

_PAGE = 200

User = Annotated[str | None, typer.Option("--user", help="Only what this user did.")]
Action = Annotated[str | None, typer.Option("--action", help="Only this operation.")]
Result = Annotated[str | None, typer.Option("--result", help="success, failure or denied.")]
Resource = Annotated[str | None, typer.Option("--resource", help="Only below this address.")]
Since = Annotated[str | None, typer.Option("--since", help="From this RFC 3339 time on.")]
Until = Annotated[str | None, typer.Option("--until", help="Before this RFC 3339 time.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]


def audit(
    user: User = None,
    action: Action = None,
    result: Result = None,
    resource: Resource = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="DAY", help="Check the records of this day instead."),
    ] = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List what was done, newest first; without --since that of the last 7 days."""
    client = client_of(server, token)
    if check is not None:
        _check(client.get("/api/audit/check", {"day": check}), form)
        return
    query = {
        "user": user,
        "action": action,
        "result": result,
        "resource": resource,
        "since": since,
        "until": until,
        "limit": min(limit, _PAGE),
    }
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None and len(found) < limit:
        page = client.get("/api/audit", {**query, "cursor": cursor})
        found += page["items"]
        cursor = page["next_cursor"]
    _show(found[:limit], form)


def _show(found: list[Any], form: Form) -> None:
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (output.local_time(one["at"]), one["actor"], one["action"], one["result"], one["resource"])
        for one in found
    ]
    output.table(("TIME", "WHO", "WHAT", "RESULT", "ON"), rows)


def _check(found: Any, form: Form) -> None:  # noqa: ANN401 - JSON
    if form is Form.JSON:
        output.data(found)
    else:
        output.emit(f"{found['day']}: {found['records']} records, {len(found['faults'])} faults")
        for fault in found["faults"]:
            output.emit(f"  {fault}")
    if found["faults"]:
        raise CommandError(Exit.CONFLICT, "the audit of that day is not as it was written")
