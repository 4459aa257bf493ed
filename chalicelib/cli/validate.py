"""`stroem validate`: every fault of a workspace, with its place."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import Exit
from chalicelib.cli.folder import Folder, line_of, load
from chalicelib.cli.output import Form

Target = Annotated[Path | None, typer.Argument(help="Folder of the workspace; wins over --path.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]


def validate(target: Target = None, path: Folder = Path(), form: Output = Form.TABLE) -> None:
    """Check a workspace: exit 0 when it is sound, 2 when it has errors. Warnings do not count."""
    loaded = load(target or path)
    if form is Form.JSON:
        output.data({"ok": loaded.ok, "findings": [asdict(f) for f in loaded.findings]})
    else:
        for finding in loaded.findings:
            print(line_of(finding))
        definition = loaded.definition
        if definition is None:
            print(f"[FAIL] {len(loaded.errors)} error(s), {len(loaded.warnings)} warning(s)")
        else:
            actions = sum(not key.startswith("_inline:") for key in definition.actions)
            print(
                f"[OK] Workspace loaded: {actions} actions, {len(definition.tasks)} tasks, "
                f"{len(definition.triggers)} triggers"
            )
    if not loaded.ok:
        raise typer.Exit(Exit.USAGE)
