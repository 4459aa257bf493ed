"""What a job's records say about the work that was done for it: attempts, reads, bytes.

The one rule: nothing is counted while a job runs; every figure is read off what is kept anyway.
Source: protocol, items and "Cost budget".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from chalicelib.domain.cost_sizes import (
    GROUP_BYTES,
    READ_BYTES,
    meta_bytes,
    record_bytes,
    units,
)
from chalicelib.domain.job import Job, JobState, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.logs import LogChunk
from chalicelib.domain.loops import flow_key, instance_of, parallel_limit
from chalicelib.domain.plan import Flow


class Mode(StrEnum):
    """How the job's workers reach the engine. No record says it, so whoever asks does."""

    DIRECT = "direct"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a step or of an instance that a worker began.

    `is_over` says that it has ended, `failed` that it did so as a failure.
    """

    record: StepRecord
    number: int
    began: datetime
    ended: datetime | None
    failed: bool

    @property
    def is_last(self) -> bool:
        """Say whether no other attempt followed."""
        return self.number > len(self.record.history)

    @property
    def loop(self) -> str | None:
        """Return the loop that it was a round of."""
        instance = instance_of(self.record.step)
        return instance.step if instance else None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A job with what its cost depends on.

    `pools` and `needs` give, by step of the flow, the pool of its action and the steps whose
    outputs its input reads; `hooks` says whether the job's end fires any. `state.instances` must
    hold the instances of its loops.
    """

    flow: Flow
    state: JobState
    chunks: tuple[LogChunk, ...] = ()
    pools: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hooks: bool = False
    mode: Mode = Mode.DIRECT

    @property
    def job(self) -> Job:
        """Return the job itself."""
        return self.state.job

    @cached_property
    def instances(self) -> tuple[StepRecord, ...]:
        """Return the records of all instances of all loops."""
        return tuple(one for found in self.state.instances.values() for one in found.values())

    @cached_property
    def worked(self) -> tuple[StepRecord, ...]:
        """Return the records of the steps and instances that are for workers."""
        return tuple(
            one
            for one in (*self.state.steps.values(), *self.instances)
            if self._is_for_workers(one) and not self._is_taken_over(one)
        )

    @cached_property
    def begun(self) -> tuple[StepRecord, ...]:
        """Return the records that the engine itself wrote first: decided, not claimed."""
        own = (
            one
            for one in self.state.steps.values()
            if not self._is_for_workers(one) or self.flow.is_decided_late(one.step)
        )
        return tuple(one for one in own if one.nonce != "halted" and not self._is_taken_over(one))

    @cached_property
    def taken_over(self) -> tuple[StepRecord, ...]:
        """Return the records that a re-run has from the job before it: that one paid for them."""
        records = (*self.state.steps.values(), *self.instances)
        return tuple(one for one in records if self._is_taken_over(one))

    @cached_property
    def tries(self) -> tuple[Try, ...]:
        """Return all attempts, in the order in which they began."""
        found = (one for record in self.worked for one in _tries_of(record))
        return tuple(sorted(found, key=lambda one: one.began))

    @cached_property
    def busy_s(self) -> Mapping[str, float]:
        """Return for how many seconds each session ran steps of the job, one or several."""
        busy: dict[str, float] = {}
        until: dict[str, datetime] = {}
        for one in self.tries:
            session = one.record.session
            if session is None or one.ended is None or not one.is_last:
                continue
            begin = max(one.began, until.get(session, one.began))
            until[session] = max(one.ended, begin)
            more = (until[session] - begin).total_seconds()
            busy[session] = busy.get(session, 0.0) + more
        return busy

    @cached_property
    def queued(self) -> Mapping[tuple[str | None, str], int]:
        """Return how many first attempts went through the queue, by what made them ready.

        The key is the step or instance whose end did (None: the job's creation) and the pool. The
        worker that ended one takes the first of what that made ready with it, by no queue.
        """
        counts: Counter[tuple[str | None, str]] = Counter()
        taken: set[str] = set()
        for key in self.flow.order:
            for ender, wave in self._waves(key):
                left = len(wave)
                if ender is not None and ender.step not in taken and _goes_on(ender, wave):
                    taken.add(ender.step)
                    left -= 1
                if left:
                    counts[(ender.step if ender else None, self.pools.get(key, ""))] += left
        return counts

    def comes_with_whole(self, one: Try) -> bool:
        """Say whether the attempt was claimed with the end before it, which read the whole job."""
        step = one.record.step
        before = next((key for key, heir in self.flow.heirs.items() if heir == step), None)
        is_first = one.is_last and one.number == 1
        return is_first and before not in self.flow.single and self._heir_of(before) is not None

    def is_all_that_follows(self, one: Try) -> bool:
        """Say whether the end of an attempt led to its heir's claim, and so to no look."""
        step = one.record.step
        return step in self.flow.single and self._heir_of(step) is not None

    def _heir_of(self, key: str | None) -> StepRecord | None:
        """Return the record of the step's heir, if the worker that ended the step claimed it."""
        ender = self.state.steps.get(key or "")
        heir = self.state.steps.get(self.flow.heirs.get(key or "", ""))
        if ender is None or heir is None or ender.status is not StepStatus.COMPLETED:
            return None
        if self._is_taken_over(ender):
            return None
        return heir if not ender.halted and _goes_on(ender, [heir]) else None

    def units_of_load(self, at: datetime | None = None) -> int:
        """Return the read units of the query that reads the whole job as it stood at `at`."""
        size = meta_bytes(self.job) + sum(
            record_bytes(record)
            for record in self.state.steps.values()
            if at is None or (_first_start(record) or at) <= at
        )
        for groups in self.state.loops.values():
            size += sum(GROUP_BYTES + 4 * len(group.open) for group in groups.values())
        return units(size, READ_BYTES)

    def _is_taken_over(self, record: StepRecord) -> bool:
        began = _first_start(record) or record.completed_at
        return self.job.seed is not None and began is not None and began < self.job.created_at

    def _is_for_workers(self, record: StepRecord) -> bool:
        key = flow_key(record.step)
        return key not in self.flow.by_engine and record.loop is None and record.child is None

    def _waves(self, key: str) -> Iterator[tuple[StepRecord | None, list[StepRecord]]]:
        """Yield what became ready together of a step or loop, with whose end did it."""
        record = self.state.steps.get(key)
        if record is None or (record.loop is None and not self._is_for_workers(record)):
            return
        if record.loop is None:
            yield self._ender(key), self._begun([record])
            return
        found = self.state.instances.get(key, {})
        instances = [found[index] for index in sorted(found)]
        first = parallel_limit(self.flow.steps[key]) or len(instances)
        yield self._ender(key), self._begun(instances[:first])
        for number, instance in enumerate(instances[first:]):
            yield instances[number], self._begun([instance])

    def _begun(self, records: list[StepRecord]) -> list[StepRecord]:
        own = (one for one in records if not self._is_taken_over(one))
        return [one for one in own if any(_tries_of(one))]

    def _ender(self, key: str) -> StepRecord | None:
        """Return whose end made the step ready; of a loop, the instance that ended last."""
        needs = [self.state.steps.get(need) for need in self.flow.steps[key].depends_on]
        last = _last_ended(need for need in needs if need is not None)
        if last is None or self._is_taken_over(last):
            return None
        if last.loop is None:
            return last
        return _last_ended(self.state.instances.get(last.step, {}).values()) or last


def _last_ended(records: Iterable[StepRecord]) -> StepRecord | None:
    ended = (one for one in records if one.completed_at is not None)
    return max(ended, key=lambda one: str(one.completed_at), default=None)


def _goes_on(ender: StepRecord, wave: list[StepRecord]) -> bool:
    first = next(iter(wave), None)
    if first is None or ender.session is None:
        return False
    return ender.session == first.session and not first.history


def _first_start(record: StepRecord) -> datetime | None:
    return record.history[0].started_at if record.history else record.started_at


def _tries_of(record: StepRecord) -> Iterator[Try]:
    for past in record.history:
        began = past.started_at or past.failed_at
        yield Try(record, past.attempt, began, past.failed_at, failed=True)
    # What waits for its next attempt, or was halted before its first, has nobody's session.
    if record.started_at is not None and record.session is not None:
        failed = record.status is StepStatus.FAILED
        yield Try(record, record.attempt, record.started_at, record.completed_at, failed=failed)
