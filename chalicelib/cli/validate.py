"""`stroem validate`: every fault of a workspace, with its place."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import Exit
from chalicelib.cli.folder import Folder, line_of, load, named_actions
from chalicelib.cli.output import Form

if TYPE_CHECKING:
    from chalicelib.domain.reading import Loaded

Target = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="Folder of the workspace; wins over --path.")
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]


def validate(target: Target = None, path: Folder = Path(), form: Output = Form.TABLE) -> None:
    """Check a workspace.

    Exit 0 when it is sound, 2 when it has errors; warnings do not count.
    """
    loaded = load(target or path)
    if form is Form.JSON:
        output.data({"ok": loaded.ok, "findings": [asdict(f) for f in loaded.findings]})
    else:
        for finding in loaded.findings:
            output.emit(line_of(finding))
        output.emit(_verdict(loaded))
    if not loaded.ok:
        raise typer.Exit(Exit.USAGE)


def _verdict(loaded: Loaded) -> str:
    definition = loaded.definition
    if definition is None:
        return f"[FAIL] {len(loaded.errors)} error(s), {len(loaded.warnings)} warning(s)"
    actions = len(named_actions(definition))
    return (
        f"[OK] Workspace loaded: {actions} actions, {len(definition.tasks)} tasks, "
        f"{len(definition.triggers)} triggers"
    )
