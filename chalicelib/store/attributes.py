"""How values of the domain stand in an item: times as text that sorts, the rest as JSON."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.constants import STRING

from chalicelib.domain.job import LoopRun, Parent, PastAttempt, Slot
from chalicelib.domain.logs import stamp
from chalicelib.domain.values import BlobRef, Payload, StepRef
from chalicelib.domain.workflow import OnLimit


def parsed(text: str) -> datetime:
    """Return the instant that `stamp` wrote."""
    return datetime.fromisoformat(text)


def dumped(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class InstantAttribute(Attribute[datetime]):
    """An instant in UTC, as text of fixed width: texts sort as the instants do."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return stamp(value)

    def deserialize(self, value: str) -> datetime:
        return parsed(value)


class BlobRefAttribute(Attribute[BlobRef]):
    """A reference into the object store."""

    attr_type = STRING

    def serialize(self, value: BlobRef) -> str:
        return dumped([value.key, value.size, value.sha256])

    def deserialize(self, value: str) -> BlobRef:
        return BlobRef(*json.loads(value))


class PayloadAttribute(Attribute[Payload]):
    """`{"value": …}` or `{"ref": [key, size, hash]}`. JSON text keeps numbers as they were."""

    attr_type = STRING

    def serialize(self, value: Payload) -> str:
        return dumped(_payload(value))

    def deserialize(self, value: str) -> Payload:
        return _payload_of(json.loads(value))


class LoopAttribute(Attribute[LoopRun]):
    """`[total, items]` of a loop, the items as a payload. `sent` is not in it: that changes."""

    attr_type = STRING

    def serialize(self, value: LoopRun) -> str:
        return dumped([value.total, _payload(value.items)])

    def deserialize(self, value: str) -> LoopRun:
        total, items = json.loads(value)
        return LoopRun(total, _payload_of(items))


class ParentAttribute(Attribute[Parent]):
    """`[job, step, attempt]` that a sub-job stands for."""

    attr_type = STRING

    def serialize(self, value: Parent) -> str:
        return dumped([value.ref.job_id, value.ref.step, value.attempt])

    def deserialize(self, value: str) -> Parent:
        job_id, step, attempt = json.loads(value)
        return Parent(StepRef(job_id, step), attempt)


class SlotsAttribute(Attribute[tuple[Slot, ...]]):
    """`[key, limit, on_limit]` of each place that a job needs, in order."""

    attr_type = STRING

    def serialize(self, value: tuple[Slot, ...]) -> str:
        return dumped([[slot.key, slot.limit, slot.on_limit.value] for slot in value])

    def deserialize(self, value: str) -> tuple[Slot, ...]:
        return tuple(
            Slot(key, limit, OnLimit(on_limit)) for key, limit, on_limit in json.loads(value)
        )


class PinsAttribute(Attribute[tuple[tuple[str, str], ...]]):
    """`[workspace, revision]` of each other workspace that a job uses, by name."""

    attr_type = STRING

    def serialize(self, value: tuple[tuple[str, str], ...]) -> str:
        return dumped([list(pin) for pin in value])

    def deserialize(self, value: str) -> tuple[tuple[str, str], ...]:
        return tuple((workspace, revision) for workspace, revision in json.loads(value))


class TextsAttribute(Attribute[tuple[str, ...]]):
    """Texts, in order."""

    attr_type = STRING

    def serialize(self, value: tuple[str, ...]) -> str:
        return dumped(list(value))

    def deserialize(self, value: str) -> tuple[str, ...]:
        return tuple(json.loads(value))


class StepRefsAttribute(Attribute[tuple[StepRef, ...]]):
    """Steps of several jobs."""

    attr_type = STRING

    def serialize(self, value: tuple[StepRef, ...]) -> str:
        return dumped([[ref.job_id, ref.step] for ref in value])

    def deserialize(self, value: str) -> tuple[StepRef, ...]:
        return tuple(StepRef(job_id, step) for job_id, step in json.loads(value))


def dump_past(past: PastAttempt) -> str:
    """Return one entry of a step's history."""
    started = None if past.started_at is None else stamp(past.started_at)
    return dumped([past.attempt, past.error, started, stamp(past.failed_at), past.child])


def load_past(text: str) -> PastAttempt:
    """Return what `dump_past` was given; one of an earlier version has no `child`."""
    attempt, error, started, failed, *child = json.loads(text)
    return PastAttempt(
        attempt=attempt,
        error=error,
        started_at=None if started is None else parsed(started),
        failed_at=parsed(failed),
        child=child[0] if child else None,
    )


def _payload(value: Payload) -> dict[str, Any]:
    if value.ref is None:
        return {"value": value.inline}
    return {"ref": [value.ref.key, value.ref.size, value.ref.sha256]}


def _payload_of(body: dict[str, Any]) -> Payload:
    if "ref" in body:
        return Payload(ref=BlobRef(*body["ref"]))
    return Payload(inline=body["value"])
