"""Flags that every verb against a server has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chalicelib.cli.client import Client

DEFAULT_URL = "http://127.0.0.1:8080"

Server = Annotated[
    str, typer.Option("--server", envvar="STROEM_URL", help="Address of the server.")
]
Token = Annotated[
    str | None, typer.Option("--token", envvar="STROEM_TOKEN", help="Token to show there.")
]
Workspace = Annotated[str, typer.Option("--workspace", "-w", help="Workspace on the server.")]


def client_of(server: str, token: str | None) -> Client:
    """Return a client of the server; its library is loaded only now."""
    from chalicelib.cli.client import connect  # noqa: PLC0415 - `--version` must stay quick

    return connect(server, token)
