"""`stroem workspace diff|history|rollback`: what a workspace was, is, and would become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.folder import definition_of, load_tree, read_tree
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of
from chalicelib.cli.workspaces import Name, Output, workspace

if TYPE_CHECKING:
    from chalicelib.cli.client import Client

__all__ = ["workspace"]

_SHORT = 12
_SHORTEST = 6
_HISTORY = 200


@workspace.command("diff")
def diff(
    source: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder to compare with.")
    ] = None,
    name: Name = "default",
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Tell what a push of DIR would change; without DIR, what the last publication changed."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - `--version` stays quick

    client = client_of(server, token)
    if source is None:
        sections = client.get(path_of("api", "workspaces", name, "diff"))["sections"]
    else:
        sections = _against(client, name, source)
    if form is Form.JSON:
        output.data(sections)
        return
    lines = list(_lines(sections))
    for line in lines:
        output.emit(line)
    if not lines:
        output.say("no difference")


@workspace.command("history")
def history(
    name: Name = "default",
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 20,
    form: Output = Form.TABLE,
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List what was published in a workspace, newest first; `*` is in force."""
    found = _history(client_of(server, token), name, limit)
    if form is Form.JSON:
        output.data(found)
        return
    rows = [
        (
            "*" if one["in_force"] else "",
            one["revision"][:_SHORT],
            one["at"],
            one["kind"],
            one.get("author") or one.get("by") or "-",
            one.get("message") or one.get("commit") or "-",
        )
        for one in found
    ]
    output.table(("", "REVISION", "AT", "HOW", "BY", "MESSAGE"), rows)


@workspace.command("rollback")
def rollback(
    revision: Annotated[
        str | None, typer.Argument(metavar="[REVISION]", help="As history shows it.")
    ] = None,
    name: Name = "default",
    server: Server = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Put an earlier revision in force again; without one, that before the present."""
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    client = client_of(server, token)
    body = {"revision": _whole(client, name, revision)} if revision else {}
    done = client.post(path_of("api", "workspaces", name, "rollback"), body)
    state = "in force again" if done["changed"] else "was in force already"
    output.emit(f"{name}: revision {done['revision']} ({state})")


def _history(client: Client, name: str, limit: int) -> list[dict[str, Any]]:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above

    path = path_of("api", "workspaces", name, "revisions")
    found: list[dict[str, Any]] = client.get(path, {"limit": limit})["items"]
    return found


def _whole(client: Client, name: str, start: str) -> str:
    """Return the revision that begins so, if there is just one; else the text as it is."""
    if len(start) < _SHORTEST:
        raise CommandError(Exit.USAGE, f"{start!r} is too short for a revision: six characters")
    kept = {one["revision"] for one in _history(client, name, _HISTORY)}
    found = [one for one in kept if one.startswith(start)]
    if len(found) > 1:
        raise CommandError(Exit.USAGE, f"{start!r} begins {len(found)} revisions: write more")
    return found[0] if found else start


def _against(client: Client, name: str, source: Path) -> dict[str, Any]:
    from chalicelib.cli.client import path_of  # noqa: PLC0415 - as above
    from chalicelib.domain.manifest import changes, manifest_of  # noqa: PLC0415 - as above

    tree = read_tree(source)
    mine = manifest_of(definition_of(load_tree(tree, source), source), tree)
    theirs = client.get(path_of("api", "workspaces", name, "manifest"))["sections"]
    return {
        section: {
            "added": list(one.added),
            "changed": list(one.changed),
            "removed": list(one.removed),
        }
        for section, one in changes(theirs, mine).items()
    }


def _lines(sections: dict[str, Any]) -> list[str]:
    marks = (("added", "+"), ("changed", "~"), ("removed", "-"))
    return [
        f"{mark} {section.removesuffix('s')} {item}"
        for section, found in sections.items()
        for word, mark in marks
        for item in found[word]
    ]
