"""`stroem run`: run a task in this process. No server, no AWS; the same engine decides."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import exit_of
from chalicelib.cli.folder import Folder, definition_in, read_tree
from chalicelib.cli.inputs import read_input
from chalicelib.cli.listing import TaskName, task_in
from chalicelib.cli.output import Form
from chalicelib.cli.trigger import Pairs, Whole

if TYPE_CHECKING:
    from chalicelib.cli.local_run import Ended

Jobs = Annotated[int, typer.Option("--parallel", "-p", min=1, max=64, help="Steps at a time.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="json: the outcome as data.")]

_PARALLEL = 8


def run(
    task: TaskName,
    path: Folder = Path(),
    pairs: Pairs = None,
    whole: Whole = None,
    parallel: Jobs = _PARALLEL,
    form: Output = Form.TABLE,
) -> None:
    """Run a task of a folder's workspace here; exit 0 when it completed, 1 when it failed."""
    from chalicelib.cli.local_run import LocalRun  # noqa: PLC0415 - `--version` stays quick

    fields = task_in(definition_in(path), task).input
    given = read_input(
        pairs or [],
        whole,
        {name: field.type for name, field in fields.items()},
        frozenset(name for name, field in fields.items() if field.multiple),
    )
    with tempfile.TemporaryDirectory(prefix="stroem-run-") as folder:
        ended = LocalRun(Path(folder), parallel, sys.stderr if form is Form.JSON else sys.stdout)(
            read_tree(path), task, given
        )
    _show(ended, form)
    raise typer.Exit(exit_of(ended.status))


def _show(ended: Ended, form: Form) -> None:
    if form is Form.JSON:
        output.data({"status": ended.status, "output": ended.output, "steps": ended.steps})
        return
    counts = Counter(ended.steps.values())
    for step, error in ended.errors.items():
        output.say(f"{step}: {error}")
    output.say(
        f"{counts['completed']} completed, {counts['skipped']} skipped, {counts['failed']} failed"
    )
