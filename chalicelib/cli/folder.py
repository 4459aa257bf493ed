"""The workspace in a folder of this machine, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import say

if TYPE_CHECKING:
    from chalicelib.domain.reading import Loaded
    from chalicelib.domain.sources import WorkspaceTree
    from chalicelib.domain.workflow import Action, Definition, Finding

Folder = Annotated[Path, typer.Option("--path", help="Folder of the workspace.")]


def read_tree(path: Path) -> WorkspaceTree:
    """Return the folder's files.

    Raises:
        CommandError: there is no such folder.
    """
    from chalicelib.workspaces.folder import read_folder  # noqa: PLC0415 - `--version` stays quick

    if not path.exists():
        raise CommandError(Exit.NOT_FOUND, f"there is no folder {path}")
    if not path.is_dir():
        raise CommandError(
            Exit.USAGE, f"{path} is a file: name the folder that holds `.workflows/`"
        )
    return read_folder(path)


def load(path: Path) -> Loaded:
    """Read and check the folder's workspace; say so if it holds no workflow at all."""
    return load_tree(read_tree(path), path)


def load_tree(tree: WorkspaceTree, path: Path) -> Loaded:
    """Check files that were read from `path`; as `load` otherwise."""
    from chalicelib.domain.reading import read_workspace  # noqa: PLC0415 - the same

    loaded = read_workspace(tree)
    definition = loaded.definition
    if definition is not None and not (definition.tasks or definition.actions):
        say(f"no workflows in {path}: they are YAML files in its folder `.workflows`")
    return loaded


def definition_in(path: Path) -> Definition:
    """Return the folder's definition.

    Raises:
        CommandError: the workspace has errors; they are printed.
    """
    return definition_of(load(path), path)


def definition_of(loaded: Loaded, path: Path) -> Definition:
    """Return the definition that was loaded.

    Raises:
        CommandError: the workspace has errors; they are printed.
    """
    if loaded.definition is None:
        for finding in loaded.errors:
            say(line_of(finding))
        count = len(loaded.errors)
        raise CommandError(
            Exit.USAGE,
            f"the workspace in {path} has {count} error{'s' if count > 1 else ''}; see above",
        )
    return loaded.definition


def named_actions(definition: Definition) -> list[Action]:
    """Return the actions that the workspace names; those that a step spells out have no name."""
    from chalicelib.domain.workflow import INLINE_PREFIX  # noqa: PLC0415 - the same

    return [
        action for key, action in definition.actions.items() if not key.startswith(INLINE_PREFIX)
    ]


def line_of(finding: Finding) -> str:
    """Return a finding as `file:line:column: severity: path: reason (fix)`, as compilers do."""
    place = f"{finding.file}:{finding.line}:{finding.column}"
    path = f"{finding.path}: " if finding.path else ""
    fix = f" ({finding.fix})" if finding.fix else ""
    return f"{place}: {finding.severity}: {path}{finding.reason}{fix}"
