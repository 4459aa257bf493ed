"""Which lines of a log are printed: how old, and how many of what is there already.

One rule: a choice drops lines, and never changes their order.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chalicelib.cli.exits import CommandError, Exit
from chalicelib.domain.durations import parse_duration
from chalicelib.domain.errors import InvalidError

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """`since`: only lines from then on. `tail`: of what is there already only the last so many."""

    since: datetime | None = None
    tail: int | None = None

    def takes(self, row: Row) -> bool:
        """Say whether a line is new enough."""
        return self.since is None or datetime.fromisoformat(row["ts"]) >= self.since

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield what is printed of the lines that are there."""
        taken = filter(self.takes, rows)
        return taken if self.tail is None else iter(deque(taken, self.tail))


def read_since(text: str | None) -> datetime | None:
    """Return the time that `10m` ago or an RFC 3339 time stands for; without zone it is local.

    Raises:
        CommandError: it is neither.
    """
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        ago = timedelta(seconds=parse_duration(text))
        return datetime.fromtimestamp(time.time_ns() / 1e9, UTC) - ago
    except (InvalidError, OverflowError):
        raise CommandError(
            Exit.USAGE,
            f"--since {text!r} is neither a duration (10m, 1h30m) nor a time "
            "(2026-11-21T12:00:00Z)",
        ) from None
