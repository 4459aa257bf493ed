"""Moves of steps, of instances and of loops in memory.

They are those of `jobs_steps` and `jobs_loops`, to the letter; what a move leaves behind is said
in `claims`, for all stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.job import LoopGroup, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import group_of, instance_of
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Claim, SeedRecords, StepBegin, StepEnd, StepRetry
from chalicelib.store.claims import (
    begun,
    claimed,
    halted,
    handed_back,
    held,
    moved_on,
    never_begins,
    no_group,
    no_loop,
    refuse_begin,
    refuse_claim,
    sent_back,
)


class MemorySteps:
    """Records of steps and instances, and groups of loops. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._steps: dict[str, dict[str, StepRecord]] = {}
        self._instances: dict[tuple[str, str], dict[int, StepRecord]] = {}
        self._loops: dict[str, dict[str, dict[int, LoopGroup]]] = {}

    def load_instances(
        self, job_id: str, step: str, first: int, last: int
    ) -> Mapping[int, StepRecord]:
        kept = self._instances.get((job_id, step), {})
        return {index: kept[index] for index in sorted(kept) if first <= index <= last}

    def begin_step(self, begin: StepBegin) -> StepRecord:
        record = self._record(begin.ref)
        if record is not None and record.nonce == begin.nonce:
            return record
        refuse_begin(begin, record)
        return self._put(begin.ref, begun(begin, record))

    def claim_step(self, claim: Claim) -> StepRecord:
        record = self._record(claim.ref)
        if record is not None and record.nonce == claim.lease:
            return record
        refuse_claim(claim, record)
        return self._put(claim.ref, claimed(claim, record))

    def end_step(self, end: StepEnd) -> StepRecord:
        record = self._record(end.ref)
        if record is not None and record.nonce == end.nonce:
            return record
        record = held(record, end.ref, end.attempt, end.lease)
        ended = replace(
            record,
            status=end.status,
            nonce=end.nonce,
            completed_at=end.at,
            error=end.error,
            output=end.output,
            halted=record.halted or end.halted,
        )
        return self._put(end.ref, ended)

    def retry_step(self, retry: StepRetry) -> StepRecord:
        record = self._record(retry.ref)
        if record is not None and record.nonce == retry.nonce:
            return record
        record = held(record, retry.ref, retry.past.attempt, retry.lease)
        if record.halted:
            raise halted(retry.ref)
        return self._put(retry.ref, sent_back(retry, record))

    def hand_back(self, ref: StepRef, attempt: int, lease: str, nonce: str) -> StepRecord:
        record = self._record(ref)
        if record is not None and record.nonce == nonce:
            return record
        record = held(record, ref, attempt, lease, only=StepStatus.RUNNING)
        if record.halted:
            raise halted(ref)
        return self._put(ref, handed_back(record, nonce))

    def told(self, ref: StepRef) -> None:
        record = self._record(ref)
        if record is not None and record.tell:
            self._put(ref, replace(record, tell=False))

    def halt_step(self, ref: StepRef, seen: StepRecord | None, at: datetime) -> None:
        record = self._record(ref)
        if record is not None and record.halted:
            return
        has_ended = record is not None and record.status.is_terminal
        if has_ended or _standing(record) != _standing(seen):
            raise moved_on(ref)
        if record is not None and record.status is StepStatus.RUNNING:
            self._put(ref, replace(record, halted=True))
        else:
            self._put(ref, never_begins(ref.step, record, at))

    def begin_group(self, job_id: str, step: str, group: LoopGroup) -> None:
        groups = self._loops.setdefault(job_id, {}).setdefault(step, {})
        groups.setdefault(group.number, group)

    def mark_sent(self, job_id: str, step: str, below: int) -> int:
        ref = StepRef(job_id, step)
        record = self._record(ref)
        if record is None or record.loop is None or record.status is not StepStatus.RUNNING:
            raise no_loop(ref)
        if record.loop.sent < below:
            self._put(ref, replace(record, loop=replace(record.loop, sent=below)))
        return record.loop.sent

    def leave_group(self, ref: StepRef, *, failed: bool) -> LoopGroup:
        instance = instance_of(ref.step)
        groups = self._loops.get(ref.job_id, {}).get(instance.step, {}) if instance else {}
        number = group_of(instance.index) if instance else 0
        if instance is None or number not in groups:
            raise no_group(ref)
        group, index = groups[number], frozenset({instance.index})
        groups[number] = replace(
            group, open=group.open - index, failed=group.failed | index if failed else group.failed
        )
        return groups[number]

    def _take_over(self, job_id: str, records: SeedRecords) -> None:
        for step, groups in records.loops.items():
            for group in groups:
                self.begin_group(job_id, step, group)
        for record in (*records.steps, *records.instances):
            ref = StepRef(job_id, record.step)
            if self._record(ref) is None:
                self._put(ref, record)

    def _record(self, ref: StepRef) -> StepRecord | None:
        instance = instance_of(ref.step)
        if instance is None:
            return self._steps.get(ref.job_id, {}).get(ref.step)
        return self._instances.get((ref.job_id, instance.step), {}).get(instance.index)

    def _put(self, ref: StepRef, record: StepRecord) -> StepRecord:
        instance = instance_of(ref.step)
        if instance is None:
            self._steps.setdefault(ref.job_id, {})[ref.step] = record
        else:
            self._instances.setdefault((ref.job_id, instance.step), {})[instance.index] = record
        return record


def _standing(record: StepRecord | None) -> tuple[StepStatus, int, str | None] | None:
    return None if record is None else (record.status, record.attempt, record.lease)
