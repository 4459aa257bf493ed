"""Triggers' states and backfills as JSON, and what their routes are given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, RootModel

from chalicelib.api.bodies import OwnBody, Query
from chalicelib.api.shapes import Limit, MaybeText, Shape, Stamp, absent
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.schedule.records import BackfillStatus
from chalicelib.engine.backfills import MOST_PARALLEL, SHOWN_TIMES, Preview, Progress


class NextQuery(Query):
    """`count` next runs are told, 200 at most."""

    count: Limit = 5


class BackfillQuery(Query):
    """So many of the newest, 200 at most."""

    limit: Limit = 50


class TriggerState(Shape):
    """How a trigger stands now."""

    name: str
    enabled: bool
    paused: bool


class BackfillBody(OwnBody):
    """Which nominal times to run, both bounds included, and how many jobs at a time.

    The bounds are RFC 3339 with an offset. With `preview` nothing is made.
    """

    first: str = Field(alias="from")
    last: str = Field(alias="to")
    max_parallel: int = Field(default=1, ge=1, le=MOST_PARALLEL)
    preview: bool = False


class BackfillTime(Shape):
    """One nominal time, and whether it has a job already, which would be left as it is."""

    at: Stamp
    exists: bool


class BackfillShape(Shape):
    """A backfill of the times from `first` to `last`.

    `total` nominal times, of which `made` have a job by it, and `existing` had one already.
    `running` and `waiting` are jobs of it that have not ended.
    """

    backfill_id: str
    workspace: str
    trigger: str
    first: Stamp
    last: Stamp
    max_parallel: int
    status: BackfillStatus
    total: int
    made: int
    existing: int
    running: int
    waiting: int
    by: str
    created_at: Stamp
    ended_at: Stamp | None
    error: MaybeText


class BackfillList(RootModel[list[BackfillShape]]):
    """Backfills, newest first."""


class BackfillAnswer(Shape):
    """What would be done (`times`: the first 100), or, without `preview`, what was begun."""

    total: int
    times: list[BackfillTime]
    backfill: Annotated[BackfillShape | None, Field(default=None, exclude_if=absent)]


def backfill_shape(found: Progress) -> BackfillShape:
    """Return a backfill with its progress."""
    record = found.backfill
    return BackfillShape(
        backfill_id=record.backfill_id,
        workspace=record.workspace,
        trigger=record.trigger,
        first=record.first,
        last=record.last,
        max_parallel=record.max_parallel,
        status=record.status,
        total=record.total,
        made=record.made,
        existing=record.existing,
        running=found.running,
        waiting=found.waiting,
        by=record.by,
        created_at=record.created_at,
        ended_at=record.ended_at,
        error=record.error,
    )


def preview_answer(found: Preview) -> BackfillAnswer:
    """Return what would be done."""
    times = [BackfillTime(at=at, exists=exists) for at, exists in found.times[:SHOWN_TIMES]]
    return BackfillAnswer(total=found.total, times=times, backfill=None)


def instant_in(text: str, name: str) -> datetime:
    """Return the instant.

    Raises:
        InvalidError: it is none, or has no offset.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidError(f"/{name}: write a time with its offset, such as 2026-11-21T12:00:00Z")
