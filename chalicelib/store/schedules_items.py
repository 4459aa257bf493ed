"""Triggers' records and backfills as JSON texts, to the domain and back.

The text is the whole record: writers compare it, so that of two at a time one is refused.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from chalicelib.domain.logs import stamp
from chalicelib.domain.schedule.records import Backfill, BackfillStatus, TriggerRecord
from chalicelib.domain.schedule.timing import Timing
from chalicelib.store.attributes import dumped, parsed

_MAX_ERROR = 1_000


def body_of_trigger(record: TriggerRecord) -> str:
    """Return the text of a trigger's record; an error that is long is cut."""
    return dumped(
        {
            "timing": None if record.timing is None else _timing(record.timing),
            "next_at": _text(record.next_at),
            "paused": record.paused,
            "enabled": record.enabled,
            "error": None if record.error is None else record.error[:_MAX_ERROR],
            "error_at": _text(record.error_at),
        }
    )


def trigger_of(workspace: str, name: str, body: str) -> TriggerRecord:
    """Return the record that the text is."""
    said: dict[str, Any] = json.loads(body)
    return TriggerRecord(
        workspace=workspace,
        name=name,
        timing=None if said["timing"] is None else _timing_of(said["timing"]),
        next_at=_instant(said["next_at"]),
        paused=said["paused"],
        enabled=said["enabled"],
        error=said["error"],
        error_at=_instant(said["error_at"]),
    )


def body_of_backfill(record: Backfill) -> str:
    """Return the text of a backfill."""
    return dumped(
        {
            "trigger": record.trigger,
            "timing": _timing(record.timing),
            "first": stamp(record.first),
            "last": stamp(record.last),
            "max_parallel": record.max_parallel,
            "total": record.total,
            "created_at": stamp(record.created_at),
            "by": record.by,
            "next_at": _text(record.next_at),
            "status": record.status.value,
            "made": record.made,
            "existing": record.existing,
            "ended_at": _text(record.ended_at),
            "error": None if record.error is None else record.error[:_MAX_ERROR],
        }
    )


def backfill_of(workspace: str, backfill_id: str, body: str) -> Backfill:
    """Return the backfill that the text is."""
    said: dict[str, Any] = json.loads(body)
    return Backfill(
        backfill_id=backfill_id,
        workspace=workspace,
        trigger=said["trigger"],
        timing=_timing_of(said["timing"]),
        first=parsed(said["first"]),
        last=parsed(said["last"]),
        max_parallel=said["max_parallel"],
        total=said["total"],
        created_at=parsed(said["created_at"]),
        by=said["by"],
        next_at=_instant(said["next_at"]),
        status=BackfillStatus(said["status"]),
        made=said["made"],
        existing=said["existing"],
        ended_at=_instant(said["ended_at"]),
        error=said["error"],
    )


def _timing(timing: Timing) -> list[Any]:
    return [timing.cron, timing.timezone, _text(timing.end_at), timing.jitter_s]


def _timing_of(said: list[Any]) -> Timing:
    cron, timezone, end_at, jitter_s = said
    return Timing(cron, timezone, _instant(end_at), jitter_s)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parsed(text)
