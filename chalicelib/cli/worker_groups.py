"""`stroem worker-groups`: which workers a server lets in, and the tokens by which they join."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group.")]

worker_groups = typer.Typer(
    help="Make groups of workers, and the tokens by which workers join them.",
    no_args_is_help=True,
)


@worker_groups.command("list")
def list_(form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """List the groups, the revoked ones too."""
    found = client_of(server, token).get("/api/worker-groups")
    if form is Form.JSON:
        output.data(found)
        return
    output.table(
        ("GROUP", "POOLS", "WORKSPACES", "TOKENS", "STATE"), [_row(one) for one in found["items"]]
    )


@worker_groups.command("create")
def create(
    group: Group,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", help="Pool, or a glob; again for more.")
    ] = None,
    workspace: Annotated[
        list[str] | None,
        typer.Option("--workspace", "-w", help="Workspace, or a glob; again for more."),
    ] = None,
    capability: Annotated[
        list[str] | None, typer.Option("--capability", help="What its workers may offer.")
    ] = None,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Make a group and print its first token; what is left out is not limited."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    body: dict[str, Any] = {"name": group}
    wanted = {"pools": pool, "workspaces": workspace, "capabilities": capability}
    body |= {name: given for name, given in wanted.items() if given}
    client = client_of(server, token)
    client.post("/api/worker-groups", body)
    _print_token(client.post(path_of("api", "worker-groups", group, "tokens")))


@worker_groups.command("token")
def token_(
    group: Group,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", help="When it ends, as 2027-01-31T00:00:00Z.")
    ] = None,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print another token of a group, which is shown this once; two may be live."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    path = path_of("api", "worker-groups", group, "tokens")
    body = {"expires_at": expires_at} if expires_at else {}
    _print_token(client_of(server, token).post(path, body))


@worker_groups.command("remove-token")
def remove_token(
    group: Group,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The part behind `strw_`.")],
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Take a token away; sessions that it opened end within ten seconds."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    path = path_of("api", "worker-groups", group, "tokens", token_id)
    client_of(server, token).delete(path)
    output.emit(f"{group}: token {token_id} is taken away")


@worker_groups.command("revoke")
def revoke(group: Group, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Take all tokens of a group away for good."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    client_of(server, token).delete(path_of("api", "worker-groups", group))
    output.emit(f"{group}: revoked; its workers are out within ten seconds")


def _print_token(issued: dict[str, Any]) -> None:
    output.say(f"group {issued['group']}: keep this token, it is not shown again")
    output.emit(issued["token"])


def _row(group: dict[str, Any]) -> tuple[str, ...]:
    tokens = ", ".join(str(one["token_id"]) for one in group["tokens"])
    state = "revoked" if group["revoked_at"] else "live" if tokens else "no token"
    return (group["name"], _all(group["pools"]), _all(group["workspaces"]), tokens or "-", state)


def _all(names: list[str] | None) -> str:
    return "all" if names is None else ", ".join(names)
