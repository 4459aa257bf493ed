"""`stroem run`: run a task in this process. No server, no AWS; the same engine decides."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import exit_of
from chalicelib.cli.folder import Folder, definition_of, load_tree, read_tree
from chalicelib.cli.inputs import Field, read_input
from chalicelib.cli.listing import TaskName, task_in
from chalicelib.cli.output import Form
from chalicelib.cli.trigger import Pairs, Whole

if TYPE_CHECKING:
    from chalicelib.cli.local_run import Ended

Jobs = Annotated[int, typer.Option("--parallel", "-p", min=1, max=64, help="Steps at a time.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Approve what asks for an approval.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="json: the outcome as data.")]

_PARALLEL = 8


def run(
    task: TaskName,
    path: Folder = Path(),
    pairs: Pairs = None,
    whole: Whole = None,
    parallel: Jobs = _PARALLEL,
    yes: Yes = False,
    form: Output = Form.TABLE,
) -> None:
    """Run a task of a folder's workspace here.

    Exit 0 when the job completed, 1 when it failed. Ctrl-C stops its steps; again, kills them.
    """
    from chalicelib.cli.local_run import LocalRun  # noqa: PLC0415 - `--version` stays quick

    tree = read_tree(path)
    fields = task_in(definition_of(load_tree(tree, path), path), task).input
    given = read_input(
        pairs or [], whole, {name: Field(f.type, f.multiple) for name, f in fields.items()}
    )
    out = sys.stderr if form is Form.JSON else sys.stdout
    with _noting_signals() as signals, tempfile.TemporaryDirectory(prefix="stroem-run-") as folder:
        ended = LocalRun(Path(folder), parallel, out, signals, yes)(tree, task, given)
    _show(ended, form)
    raise typer.Exit(exit_of(ended.status))


@contextmanager
def _noting_signals() -> Iterator[list[int]]:
    """Give the list on which the signals that are to end this process are noted as they come.

    They raise nothing: an exception in mid-stop would leave steps behind.
    """
    noted: list[int] = []

    def note(number: int, _frame: object) -> None:
        noted.append(number)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # One that is ignored already, as `nohup` does, stays so.
    before = {s: signal.signal(s, note) for s in signals if signal.getsignal(s) != signal.SIG_IGN}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(ended: Ended, form: Form) -> None:
    if form is Form.JSON:
        output.data(
            {
                "status": ended.status,
                "output": ended.output,
                "steps": ended.steps,
                "errors": ended.errors,
            }
        )
    counts = Counter(ended.steps.values())
    for step, error in ended.errors.items():
        # What the step wrote to stderr has been shown when it came.
        output.say(f"{step}: {ended.steps[step]}: {error.partition(chr(10))[0]}")
    output.say(
        f"{counts['completed']} completed, {counts['skipped']} skipped, {counts['failed']} failed"
    )
