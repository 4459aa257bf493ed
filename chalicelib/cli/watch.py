"""`stroem jobs --watch`: the jobs of a workspace as they change.

One rule: a terminal shows the newest jobs and how they stand; a pipe gets a line for each change.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.cli import output
from chalicelib.cli.follow import notice_of
from chalicelib.cli.live import live_client, told_as_command_errors
from chalicelib.cli.showing import JOB_HEADINGS, job_cells
from chalicelib.client.events import Event, FellBack, JobChanged, Reconnected

if TYPE_CHECKING:
    from chalicelib.cli.client import Client

Row = Mapping[str, Any]
_MOST_KNOWN = 1000


def watch_jobs(
    client: Client,
    workspace: str,
    is_wanted: Callable[[Row], bool],
    *,
    limit: int,
    polls: bool,
    is_raw: bool,
) -> None:
    """Print jobs as they change until Ctrl-C. Raises CommandError: the server is gone for good."""
    with told_as_command_errors():
        events = live_client(client).watch(workspace, limit=limit, polls=polls)
        rows = _rows(events)
        if is_raw:
            for row in filter(is_wanted, rows):
                output.emit(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
        elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            _rewrite(rows, is_wanted, limit)
        else:
            _print(filter(is_wanted, rows))


def newest(rows: Iterable[Row], is_wanted: Callable[[Row], bool], limit: int) -> list[Row]:
    """Return the newest of the jobs that are wanted, newest first."""
    found = sorted(filter(is_wanted, rows), key=_age, reverse=True)
    return found[:limit]


def _age(row: Row) -> tuple[str, str]:
    # The ids of one moment are in order, too.
    return str(row["created_at"]), str(row["job_id"])


def _rows(events: Iterator[Event]) -> Iterator[Row]:
    for event in events:
        if isinstance(event, JobChanged):
            yield event.row
        else:
            _say(event)


def _say(event: Event) -> None:
    if isinstance(event, FellBack | Reconnected):
        output.say(notice_of(event))


def _print(rows: Iterable[Row]) -> None:
    last: dict[str, tuple[str | None, ...]] = {}
    for row in rows:
        cells = job_cells(row)
        if last.get(row["job_id"]) == cells:
            # What changed is nothing that a line shows.
            continue
        last[row["job_id"]] = cells
        if len(last) > _MOST_KNOWN:
            del last[next(iter(last))]
        output.emit("  ".join(output.plain(cell or "-") for cell in cells[:-1]))


def _rewrite(rows: Iterator[Row], is_wanted: Callable[[Row], bool], limit: int) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.live import Live  # noqa: PLC0415 - the same

    known: dict[str, Row] = {}
    console = Console(no_color=not output.is_coloured(), highlight=False)
    with Live(_table([]), console=console, auto_refresh=False) as live:
        for row in rows:
            known[row["job_id"]] = row
            if len(known) > _MOST_KNOWN:
                del known[min(known, key=lambda job_id: _age(known[job_id]))]
            live.update(_table(newest(known.values(), is_wanted, limit)), refresh=True)


def _table(rows: Iterable[Row]) -> Any:  # noqa: ANN401 - rich is loaded late
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=None, pad_edge=False)
    for heading in JOB_HEADINGS:
        # Ids are copied by hand: they are never shortened.
        table.add_column(heading, overflow="fold", no_wrap=heading == "JOB")
    for row in rows:
        cells = [output.plain(cell or "-") for cell in job_cells(row)]
        table.add_row(*(Text.from_ansi(output.coloured(cell, cell)) for cell in cells))
    return table
