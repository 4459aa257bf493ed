"""`stroem workspaces` and `stroem workspace push`: what a server has, and new files for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.folder import line_of, read_tree
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Name = Annotated[
    str,
    typer.Option("--workspace", "-w", "--name", help="Name of the workspace on the server."),
]
Message = Annotated[
    str | None, typer.Option("--message", "-m", help="What is said of it in the history.")
]
Source = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the workspace.")]

workspace = typer.Typer(help="Change a workspace on a server.", no_args_is_help=True)


def workspaces(
    form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None
) -> None:
    """List the workspaces of a server."""
    found = client_of(server, token).get("/api/workspaces")
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (item["name"], item["tasks_count"], item["actions_count"], item["revision"])
        for item in found
    ]
    output.table(("NAME", "TASKS", "ACTIONS", "REVISION"), rows)
    for item in found:
        if item.get("error"):
            output.say(f"{item['name']}: {item['error']}")


@workspace.command("push")
def push(
    source: Source = Path(),
    name: Name = "default",
    message: Message = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Check a folder here, then publish it as the newest revision of a workspace."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick
    from chalicelib.domain.reading import read_workspace  # noqa: PLC0415 - the same
    from chalicelib.workspaces.tarball import pack  # noqa: PLC0415 - the same

    tree = read_tree(source)
    loaded = read_workspace(tree)
    for finding in loaded.findings:
        output.say(line_of(finding))
    if not loaded.ok:
        raise CommandError(Exit.USAGE, f"{source} has errors, so nothing was sent")
    client = client_of(server, token)
    upload = client.post(path_of("api", "workspaces", name, "uploads"))
    content = pack(tree)
    output.say(f"sending {len(tree.files)} files, {len(content) / 1024:.0f} KB …")
    client.put_to(upload["url"], content)
    body = {"upload_id": upload["upload_id"]} | ({"message": message} if message else {})
    answer = client.post(path_of("api", "workspaces", name, "revisions"), body)
    if form is Form.JSON:
        output.data(answer)
        return
    state = "published" if answer["changed"] else "unchanged"
    output.emit(f"{answer['workspace']}: revision {answer['revision']} ({state})")
