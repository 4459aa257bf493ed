"""The workspace in a folder of this machine, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import say

if TYPE_CHECKING:
    from chalicelib.domain.parse import Loaded
    from chalicelib.domain.sources import WorkspaceTree
    from chalicelib.domain.workflow import Definition, Finding

Folder = Annotated[Path, typer.Option("--path", help="Folder of the workspace.")]


def read_tree(path: Path) -> WorkspaceTree:
    """Return the folder's files.

    Raises:
        CommandError: there is no such folder.
    """
    from chalicelib.workspaces.folder import read_folder  # noqa: PLC0415 - `--version` stays quick

    if not path.is_dir():
        raise CommandError(Exit.NOT_FOUND, f"there is no folder {path}")
    return read_folder(path)


def load(path: Path) -> Loaded:
    """Read and check the folder's workspace."""
    from chalicelib.domain.parse import read_workspace  # noqa: PLC0415 - the same

    return read_workspace(read_tree(path))


def definition_in(path: Path) -> Definition:
    """Return the folder's definition.

    Raises:
        CommandError: the workspace has errors; they are printed.
    """
    loaded = load(path)
    if loaded.definition is None:
        for finding in loaded.errors:
            say(line_of(finding))
        raise CommandError(
            Exit.USAGE, f"the workspace in {path} has {len(loaded.errors)} error(s); see above"
        )
    return loaded.definition


def line_of(finding: Finding) -> str:
    """Return a finding as `file:line:column: severity: path: reason (fix)`, as compilers do."""
    from chalicelib.domain.parse import spelled  # noqa: PLC0415 - the same

    place = f"{finding.file}:{finding.line}:{finding.column}"
    return f"{place}: {finding.severity}: {spelled(finding)}"
