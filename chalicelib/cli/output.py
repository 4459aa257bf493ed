"""What verbs print: data on stdout, chatter on stderr; colour only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import TextIO
from unicodedata import combining, east_asian_width

from chalicelib.cli.exits import CommandError, Exit

_COLOURS = {
    "completed": "32",
    "failed": "31",
    "cancelled": "33",
    "running": "36",
    "suspended": "35",
    "skipped": "90",
    "active": "32",
    "inactive": "90",
}
_STEP_COLOURS = ("36", "35", "34", "33", "32", "96", "95", "94")


class Form(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


class OutputError(Exception):
    """Data cannot be written; `cause` tells a reader that went away from a full disk."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def emit(text: str, out: TextIO | None = None) -> None:
    """Print data, at once; `out` is stdout unless given.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        print(text, file=out or sys.stdout, flush=True)
    except OSError as error:
        raise OutputError(error) from None


def data(value: object) -> None:
    """Print a value as JSON."""
    # An escape is JSON in any encoding; a character that stdout cannot write is not.
    is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
    emit(json.dumps(value, indent=2, ensure_ascii=not is_utf8))


def say(text: str) -> None:
    """Print chatter, which a pipe must not see."""
    with suppress(OSError):
        print("\n".join(map(plain, text.split("\n"))), file=sys.stderr, flush=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns; nothing is cut off. Statuses get their colour on a terminal."""
    lines = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(_width(line[index]) for line in lines) for index in range(len(headings))]
    printed = []
    for number, line in enumerate(lines):
        padded = [
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ]
        if number and is_coloured():
            padded = [coloured(cell, cell.strip()) for cell in padded]
        printed.append("  ".join(padded).rstrip())
    emit("\n".join(printed))


def fields(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line; those without a value are left out."""
    shown = {name: _cell(value) for name, value in pairs.items() if value not in (None, "")}
    width = max((len(name) for name in shown), default=0)
    for name, text in shown.items():
        emit(f"{name.ljust(width)}  {coloured(text, text) if is_coloured() else text}")


def coloured(text: str, status: str) -> str:
    """Return the text in the colour of the status."""
    colour = _COLOURS.get(status)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def is_coloured() -> bool:
    """Say whether stdout is a terminal that wants colour. `configure` decides on NO_COLOR."""
    return _state["colour"] and sys.stdout.isatty()


def without_colour() -> None:
    """Print no colour from now on."""
    _state["colour"] = False


def plain(text: str) -> str:
    """Return the text without control characters: it must not drive the reader's terminal."""
    return "".join(char for char in text if char == "\t" or char.isprintable())


def prefixed(line: Mapping[str, str]) -> str:
    """Return a log line with its step in front, coloured by step on a terminal."""
    name = _in_its_colour(f"{plain(line['step'])}:", line["step"])
    return f"{name} {plain(line['line'])}"


def heading(step: str, text: str) -> str:
    """Return what parts lines of a step from those that follow, coloured as its lines are."""
    return _in_its_colour(f"── {plain(step)}: {text} ──", step)


def local_time(text: str | None) -> str:
    """Return an RFC 3339 time as local time, to the second; "" for none."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(start: str | None, end: str | None) -> str:
    """Return the time between two RFC 3339 times, such as `1.4s`; "" while either is missing."""
    if not start or not end:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{seconds:.1f}s" if seconds < 60 else f"{seconds // 60:.0f}m{seconds % 60:02.0f}s"  # noqa: PLR2004


def parse_json(text: str, what: str) -> object:
    """Return the text's JSON.

    Raises:
        CommandError: it is none; the message says where it breaks.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"{what} is no JSON: {error}") from None


def _in_its_colour(text: str, step: str) -> str:
    if not is_coloured():
        return text
    colour = _STEP_COLOURS[sum(step.encode()) % len(_STEP_COLOURS)]
    return f"\x1b[{colour}m{text}\x1b[0m"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(" ".join(str(value).split()))


def _width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


_state = {"colour": True}
