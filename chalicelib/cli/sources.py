"""`stroem workspace add|list|refresh|remove`, `stroem library …`: where files come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of
from chalicelib.cli.revisions import workspace
from chalicelib.cli.workspaces import workspaces

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name on the server.")]
Git = Annotated[
    str | None, typer.Option("--git", metavar="URL", help="https://… or user@host:path.")
]
Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="Folder of the server's machine.")
]
Ref = Annotated[str | None, typer.Option("--ref", help="Branch, tag or commit.  [default: main]")]
Poll = Annotated[int | None, typer.Option("--poll", help="Seconds between looks, from 60 on.")]
Secret = Annotated[
    str | None,
    typer.Option("--git-token", metavar="REF", help="Token, as ref+awsssm:///path."),
]
User = Annotated[str | None, typer.Option("--git-user", help="User that the token is of.")]
Key = Annotated[str | None, typer.Option("--ssh-key", metavar="REF", help="Key, as a reference.")]
Hosts = Annotated[
    Path | None, typer.Option("--host-keys", metavar="FILE", help="As ssh-keyscan prints them.")
]
Hook = Annotated[
    str | None,
    typer.Option("--hook-secret", metavar="REF", help="Secret of the host's push webhook."),
]
Lent = Annotated[
    list[str] | None,
    typer.Option("--lent-to", metavar="GLOB", help="Who may use its actions; again for more."),
]

__all__ = ["library", "workspace"]

library = typer.Typer(
    help="Make actions, tasks and connection types known to every workspace, under a prefix.",
    no_args_is_help=True,
)


@workspace.command("add")
def add(
    name: Name,
    git: Git = None,
    folder: Folder = None,
    ref: Ref = None,
    poll: Poll = None,
    git_token: Secret = None,
    git_user: User = None,
    ssh_key: Key = None,
    host_keys: Hosts = None,
    hook_secret: Hook = None,
    lent_to: Lent = None,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Say where a workspace comes from; without --git or --folder it is pushed."""
    body = _body(git, folder, {"ref": ref, "poll_interval_s": poll, "token": git_token})
    body |= _given({"username": git_user, "ssh_key": ssh_key, "hook_secret": hook_secret})
    body |= _given({"host_keys": host_keys.read_text() if host_keys else None, "lent_to": lent_to})
    _put(("api", "workspaces", name, "source"), body, server, token)


@workspace.command("list")
def list_(form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """List the workspaces of a server."""
    workspaces(form, server, token)


@workspace.command("refresh")
def refresh(name: Name, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Read a workspace's source now; 2 if what it holds has faults."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    done = client_of(server, token).post(path_of("api", "workspaces", name, "refresh"))
    state = "read" if done["refreshed"] else "nothing to read: it is pushed"
    output.emit(f"{name}: revision {done['revision']} ({state})")


@workspace.command("remove")
def remove(name: Name, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Read a workspace's source no more; what is published stays."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    client_of(server, token).delete(path_of("api", "workspaces", name, "source"))
    output.emit(f"{name}: its source is read no more; its revisions stay, and it can be pushed to")


@library.command("add")
def add_library(
    name: Name,
    git: Git = None,
    folder: Folder = None,
    ref: Ref = None,
    poll: Poll = None,
    git_token: Secret = None,
    git_user: User = None,
    ssh_key: Key = None,
    host_keys: Hosts = None,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Say where a library comes from, and read it."""
    if git is None and folder is None:
        raise CommandError(Exit.USAGE, "name --git URL or --folder DIR")
    body = _body(git, folder, {"ref": ref, "poll_interval_s": poll, "token": git_token})
    body |= _given({"username": git_user, "ssh_key": ssh_key})
    body |= _given({"host_keys": host_keys.read_text() if host_keys else None})
    _put(("api", "libraries", name), body, server, token)


@library.command("list")
def list_libraries(
    form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None
) -> None:
    """List the libraries of a server."""
    found = client_of(server, token).get("/api/libraries")["items"]
    if form is Form.JSON:
        output.data(found)
        return
    rows = [(one["name"], one["kind"], _where(one), one["revision"]) for one in found]
    output.table(("LIBRARY", "KIND", "SOURCE", "REVISION"), rows)
    for one in found:
        if one.get("trouble"):
            output.say(f"{one['name']}: {one['trouble']}")


@library.command("refresh")
def refresh_library(name: Name, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Read a library's source now; every workspace gets what is new in it."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    _tell(client_of(server, token).post(path_of("api", "libraries", name, "refresh")))


@library.command("remove")
def remove_library(name: Name, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Take a library away from all workspaces; those that use it keep what they have."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    client_of(server, token).delete(path_of("api", "libraries", name))
    output.emit(f"{name}: removed")


def _body(git: str | None, folder: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    if git and folder:
        raise CommandError(Exit.USAGE, "--git and --folder: name one of the two")
    kind = "git" if git else "folder" if folder else "push"
    path = str(folder.resolve()) if folder else None
    return {"kind": kind} | _given({**given, "url": git, "path": path})


def _given(words: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in words.items() if value is not None and value != []}


def _put(parts: tuple[str, ...], body: dict[str, Any], server: str, token: str | None) -> None:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    _tell(client_of(server, token).put(path_of(*parts), body))


def _tell(source: dict[str, Any]) -> None:
    """Print what came of a look at a source. Raises CommandError: it found trouble."""
    where = _where(source)
    if source.get("trouble"):
        raise CommandError(Exit.USAGE, f"{source['name']}: kept, but {source['trouble']}")
    output.emit(f"{source['name']}: {where}, revision {source['revision']}")


def _where(source: dict[str, Any]) -> str:
    if source["kind"] == "git":
        return f"{source['url']} at {source['ref']}"
    return str(source.get("path") or "pushed")
