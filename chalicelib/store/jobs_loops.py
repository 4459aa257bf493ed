"""Loops on DynamoDB: their groups, their instances, and what a re-run takes over of them.

A group's item stays when its last instance has left: without an `open`, it says that all ended.
An instance leaves by taking itself out of a set, so that a repeat changes nothing.
Source: protocol, items and "Moves".
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from pynamodb.expressions.update import Action

from chalicelib.domain import keys, loops
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import LoopGroup, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import SeedRecords
from chalicelib.store.claims import no_group, no_loop
from chalicelib.store.dynamo import RefusedError, answering
from chalicelib.store.jobs_base import JobsBase
from chalicelib.store.jobs_values import group_item, group_of, place_of, record_item, step_of


class LoopMoves(JobsBase):
    """What moves a loop as a whole."""

    def load_instances(
        self, job_id: str, step: str, first: int, last: int
    ) -> Mapping[int, StepRecord]:
        if last < first:
            return {}
        wanted = self._item.sk.between(keys.instance_sk(first), keys.instance_sk(last))
        with answering(self._name):
            items = self._item.query(keys.instances_pk(job_id, step), wanted, consistent_read=True)
            return {keys.instance_index(item.sk): step_of(item) for item in items}

    def begin_group(self, job_id: str, step: str, group: LoopGroup) -> None:
        self._put_if_absent(group_item(self._item, job_id, step, group))

    def mark_sent(self, job_id: str, step: str, below: int) -> int:
        item, ref, nonce = self._item, StepRef(job_id, step), uuid4().hex
        runs = (item.status == StepStatus.RUNNING.value) & item.loop.exists()
        actions: list[Action] = [
            item.sent_before.set(item.sent),
            item.sent_by.set(nonce),
            item.sent.set(below),
        ]
        place = place_of(ref)
        try:
            marked = self._change(*place, actions, runs & (item.sent < below))
        except RefusedError:
            found = self._look(*place)
            if found is not None and found.sent_by == nonce:
                return int(found.sent_before)
            record = None if found is None else step_of(found)
            if record is None or record.loop is None or record.status is not StepStatus.RUNNING:
                raise no_loop(ref) from None
            return record.loop.sent
        return int(marked.sent_before)

    def leave_group(self, ref: StepRef, *, failed: bool) -> LoopGroup:
        instance = loops.instance_of(ref.step)
        if instance is None:
            raise no_group(ref)
        item, index = self._item, {instance.index}
        actions: list[Action] = [item.open.delete(index)]
        if failed:
            actions.append(item.failed.add(index))
        sk = keys.loop_sk(instance.step, loops.group_of(instance.index))
        try:
            left = self._change(keys.job_pk(ref.job_id), sk, actions, item.pk.exists())
        except RefusedError:
            raise no_group(ref) from None
        return group_of(left)

    def seed(self, job_id: str, records: SeedRecords) -> None:
        for step, groups in records.loops.items():
            for group in groups:
                self.begin_group(job_id, step, group)
        for record in records.steps:
            self._put_if_absent(record_item(self._item, job_id, record))
        # They have ended, so nothing but a repeat of this writes them: no condition is needed.
        with answering(self._name), self._item.batch_write() as batch:
            for record in records.instances:
                batch.save(record_item(self._item, job_id, record))
        # Last, since it lets steps begin.
        seeded: list[Action] = [self._item.is_seeded.set(True)]
        try:
            self._change(keys.job_pk(job_id), keys.META, seeded, self._item.pk.exists())
        except RefusedError:
            raise NotFoundError(f"there is no job {job_id}") from None
