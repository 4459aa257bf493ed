"""`stroem users …`: who may log in to a server, for whoever manages that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from chalicelib.cli.client import Client

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Who = Annotated[str, typer.Argument(metavar="USER", help="Address or id of the user.")]
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Address of the new user.")]
Name = Annotated[str | None, typer.Option("--name", help="Name to show.")]
Groups = Annotated[list[str] | None, typer.Option("--group", "-g", help="A group; repeatable.")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role; repeatable.")]
Admin = Annotated[bool, typer.Option("--admin", help="Make an administrator.")]
NoReset = Annotated[
    bool, typer.Option("--no-reset", help="Print no reset token: a provider lets the user in.")
]
NoAdmin = Annotated[
    bool | None, typer.Option("--admin/--no-admin", help="Whether an administrator.")
]
Disabled = Annotated[
    bool | None, typer.Option("--disable/--enable", help="Shut out, or let in again.")
]
SetGroups = Annotated[
    str | None, typer.Option("--groups", help="All groups, by commas; an empty text for none.")
]
SetRoles = Annotated[
    str | None, typer.Option("--roles", help="All roles, by commas; an empty text for none.")
]

users = typer.Typer(help="Who may log in to a server.", no_args_is_help=True)


@users.command("list")
def list_users(
    search: Annotated[str | None, typer.Option("--search", help="Part of a name.")] = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the users."""
    query = {"search": search, "limit": 200}
    page = client_of(server, token).get("/api/users", query)
    if form is Form.JSON:
        output.data(page)
        return
    rows = [
        (
            user["email"],
            user["name"],
            user["is_admin"],
            ", ".join(user["groups"]),
            ", ".join(user["roles"]),
            user["disabled"],
            output.local_time(user["last_login_at"]) or "never",
        )
        for user in page["items"]
    ]
    heads = ("EMAIL", "NAME", "ADMIN", "GROUPS", "ROLES", "DISABLED", "LAST LOG-IN")
    output.table(heads, rows)
    output.say(f"{len(rows)} of {page['total']}")


@users.command("add")
def add_user(
    email: Email,
    name: Name = None,
    groups: Groups = None,
    roles: Roles = None,
    admin: Admin = False,
    no_reset: NoReset = False,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Add a user, and print a token by which a password is chosen."""
    client = client_of(server, token)
    body = {
        "email": email,
        "name": name,
        "groups": groups or [],
        "roles": roles or [],
        "is_admin": admin,
    }
    found = client.post("/api/users", body)
    output.say(f"{found['email']} is added.")
    if not no_reset:
        _reset(client, found["user_id"])


@users.command("set")
def set_user(
    who: Who,
    admin: NoAdmin = None,
    disabled: Disabled = None,
    groups: SetGroups = None,
    roles: SetRoles = None,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Change a user; what is not named stays."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    changes: dict[str, dict[str, object]] = {}
    if groups is not None:
        changes["groups"] = {"groups": _names(groups)}
    if roles is not None:
        changes["roles"] = {"roles": _names(roles)}
    if admin is not None:
        changes["admin"] = {"is_admin": admin}
    if disabled is not None:
        changes["disabled"] = {"disabled": disabled}
    if not changes:
        raise CommandError(Exit.USAGE, "name what to change: see `stroem users set --help`")
    client = client_of(server, token)
    user = _user(client, who)
    for part, body in changes.items():
        client.put(path_of("api", "users", user["user_id"], part), body)
    output.say(f"{user['email']} is changed; it is in force within 10 s.")


@users.command("reset")
def reset_user(who: Who, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Print a token by which the user chooses a password once, within a day."""
    client = client_of(server, token)
    _reset(client, _user(client, who)["user_id"])


@users.command("remove")
def remove_user(who: Who, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Remove a user, with API keys and sessions."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    client = client_of(server, token)
    user = _user(client, who)
    client.delete(path_of("api", "users", user["user_id"]))
    output.say(f"{user['email']} is removed.")


def _reset(client: Client, user_id: str) -> None:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    found = client.post(path_of("api", "users", user_id, "reset"))
    output.say("Hand this on; it is good once, for a day: stroem passwd --reset TOKEN")
    output.emit(found["token"])


def _user(client: Client, who: str) -> dict[str, Any]:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - the same

    found: dict[str, Any]
    if "@" not in who:
        found = client.get(path_of("api", "users", who))
        return found
    for found in client.get("/api/users", {"search": who, "limit": 200})["items"]:
        if found["email"] == who.lower():
            return found
    raise CommandError(Exit.NOT_FOUND, f"there is no user {who!r}")


def _names(text: str) -> list[str]:
    return [name for name in map(str.strip, text.split(",")) if name]
