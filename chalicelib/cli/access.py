"""`stroem acl` and `stroem roles`: who may do what on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.folder import line_of
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Role = Annotated[str, typer.Argument(metavar="ROLE", help="Name of the role.")]

acl = typer.Typer(help="Show, set or try the access list of a server.", no_args_is_help=True)
roles = typer.Typer(help="List and change the roles of a server.", no_args_is_help=True)


@acl.command("show")
def show(form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Show the access list in force."""
    found = client_of(server, token).get("/api/acl")
    if form is Form.JSON:
        output.data(found)
        return
    if found["acl"] is None:
        output.emit("There is no access list: everybody may run everything.")
        return
    rows = [_rule(number, rule) for number, rule in enumerate(found["acl"]["rules"])]
    output.table(("RULE", "WORKSPACE", "TASKS", "ACTION", "GROUPS", "USERS"), rows)
    output.emit(f"default: {found['acl']['default']}")


@acl.command("set")
def set_(
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="YAML or JSON file with the list.")
    ] = None,
    none: Annotated[
        bool, typer.Option("--none", help="Take the list away: everybody may run everything.")
    ] = False,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Replace the access list by that of a file; it may have `acl:` at its top."""
    if none == (file is not None):
        raise CommandError(Exit.USAGE, "give either -f FILE or --none")
    wanted = None if file is None else _read(file)
    client = client_of(server, token)
    version = client.get("/api/acl")["version"]
    client.put("/api/acl", {"acl": wanted, "version": version})
    output.emit("The access list is in force; other processes follow within 10 s.")


@acl.command("check")
def check(
    user: Annotated[str, typer.Argument(metavar="USER", help="Address of the user.")],
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE", help="Workspace.")],
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")],
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="Take the user as one of this group.")
    ] = None,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Tell which access a user has to a task; with groups, one who is in these only."""
    query = {"user": user, "workspace": workspace, "task": task, "groups": ",".join(group or ())}
    found = client_of(server, token).get("/api/acl/check", query)
    if form is Form.JSON:
        output.data(found)
        return
    rules = ", ".join(map(str, found["rules"]))
    output.emit(f"{found['access']} ({f'rules {rules}' if rules else 'no rule, so the default'})")


@roles.command("list")
def list_(form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """List the roles and what each allows."""
    found = client_of(server, token).get("/api/roles")
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (row["name"], row["built_in"], row["description"], " ".join(row["permissions"]))
        for row in found["items"]
    ]
    output.table(("ROLE", "BUILT IN", "DESCRIPTION", "PERMISSIONS"), rows)


@roles.command("set")
def set_role(
    role: Role,
    permission: Annotated[
        list[str], typer.Option("--permission", "-p", help="One that it gives; repeat it.")
    ],
    description: Annotated[str, typer.Option("--description", "-d", help="What it is for.")] = "",
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Write or replace a custom role."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    body = {"permissions": permission, "description": description}
    found = client_of(server, token).put(path_of("api", "roles", role), body)
    output.emit(f"{found['name']}: {' '.join(found['permissions'])}")


@roles.command("remove")
def remove_role(role: Role, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Remove a custom role; who has it loses what it gave."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    client_of(server, token).delete(path_of("api", "roles", role))
    output.emit(f"{role}: removed")


def _rule(number: int, rule: dict[str, Any]) -> tuple[object, ...]:
    named = (" ".join(rule[name]) or None for name in ("groups", "users"))
    return (number, rule["workspace"], " ".join(rule["tasks"]), rule["action"], *named)


def _read(file: Path) -> object:
    """Return what the file spells; JSON is YAML too."""
    from chalicelib.domain.parse.yaml_source import read_yaml  # noqa: PLC0415 - as above

    try:
        content = file.read_bytes()
    except OSError as error:
        raise CommandError(Exit.USAGE, f"{file} cannot be read: {error.strerror}") from None
    document, findings = read_yaml(str(file), content)
    if document is None or findings:
        faults = "\n  ".join(map(line_of, findings))
        raise CommandError(Exit.USAGE, f"{file} is no access list:\n  {faults}")
    found = document.value
    return found["acl"] if isinstance(found, dict) and list(found) == ["acl"] else found
