"""`stroem keys …`: the API keys of whoever is logged in."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What you know the key by.")]
Days = Annotated[int | None, typer.Option("--days", min=1, help="How long it is good for.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help="A permission, such as job:read; repeatable. All if none."),
]
Workspaces = Annotated[
    list[str] | None,
    typer.Option("--only", help="A workspace that it is held to; repeatable. All if none."),
]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="The key's first 12 characters.")]

_PATH = "/api/auth/api-keys"

keys = typer.Typer(help="Your API keys on a server.", no_args_is_help=True)


@keys.command("list")
def list_keys(
    form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None
) -> None:
    """List your API keys."""
    found = client_of(server, token).get(_PATH)
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (
            key["prefix"],
            key["name"],
            output.local_time(key["created_at"]),
            output.local_time(key["expires_at"]) or "never",
            output.local_time(key["last_used_at"])[:10] or "never",
            "all" if key["scopes"] is None else ", ".join(key["scopes"]),
            "all" if key["workspaces"] is None else ", ".join(key["workspaces"]),
        )
        for key in found
    ]
    heads = ("PREFIX", "NAME", "CREATED", "EXPIRES", "LAST USED", "SCOPES", "WORKSPACES")
    output.table(heads, rows)


@keys.command("create")
def create_key(
    name: Name,
    days: Days = None,
    scopes: Scopes = None,
    workspaces: Workspaces = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Make an API key; it is printed once, on stdout."""
    body = {
        "name": name,
        "expires_in_days": days,
        "scopes": scopes or None,
        "workspaces": workspaces or None,
    }
    found = client_of(server, token).post(_PATH, body)
    if form is Form.JSON:
        output.data(found)
        return
    output.say("Keep it well: it is not shown again.")
    output.emit(found["key"])


@keys.command("delete")
def delete_key(prefix: Prefix, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Take an API key away; it is worth nothing within 10 s."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    client_of(server, token).delete(path_of("api", "auth", "api-keys", prefix))
    output.say(f"{prefix} is deleted.")
