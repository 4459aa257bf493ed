"""`stroem logs`: what a job wrote."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.jobs import JobId
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")]
Step = Annotated[str | None, typer.Option("--step", help="Only this step; `_server` too.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="json: the lines as JSONL.")]


def logs(
    job: JobId,
    follow: Follow = False,
    step: Step = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print a job's log, each line behind its step."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick
    from chalicelib.cli.follow import Follower, prefixed  # noqa: PLC0415 - the same

    client = client_of(server, token)
    if follow:
        ended = Follower(client, job, step).to_end()
        output.say(f"job {ended['status']}")
        return
    parts = (
        ("api", "jobs", job, "logs")
        if step is None
        else ("api", "jobs", job, "steps", step, "logs")
    )
    text = client.get(path_of(*parts))["logs"]
    if form is Form.JSON:
        print(text, end="")
        return
    for line in text.split("\n"):
        if line:
            print(prefixed(json.loads(line)))
