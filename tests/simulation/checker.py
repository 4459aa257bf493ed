"""Watches every write that the store accepts, and says which invariant it breaks.

Source: protocol, I1 to I6.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict

from chalicelib.domain import keys
from chalicelib.domain.errors import NotFoundError, StroemError
from chalicelib.domain.logs import narrate
from chalicelib.domain.plan import derive
from chalicelib.engine.payloads import load_payload
from tests.simulation import reference


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Checker:
    """Its own book of what happened, kept apart from the store's."""

    def __init__(self, flow_of):
        self._flow_of = flow_of
        self._ended = defaultdict(dict)
        self._accepted = Counter()
        self._shown = {}
        self._by_key = {}
        self.claims = 0
        self._claimed_after_end = set()
        self.runs = Counter()
        self.outputs = {}
        self.lines = {}
        self.completed = 0

    # What the store accepted.

    def job_written(self, before, after):
        if before is not None and before.status.is_terminal and before.status != after.status:
            raise ViolationError(f"I4: job {after.job_id} was {before.status}, now {after.status}")

    def step_written(self, job, lease, before, after):
        place = (job.job_id, after.step)
        if before is not None and before.status.is_terminal and before != after:
            raise ViolationError(f"I4: {place} was {before.status}, now {after.status}")
        ran = before is not None and before.status == "running"
        if after.status == "running" and not ran:
            self._claimed(job, after)
        elif ran and after.status != "running":
            if lease != before.lease:
                raise ViolationError(f"I2: {place} held by {before.lease} was ended by {lease}")
            self._attempt_ended(place, before, after)
        elif ran and after.lease != before.lease:
            raise ViolationError(f"I2: {place} attempt {after.attempt} is held twice")

    def _claimed(self, job, record):
        self.claims += 1
        place = (job.job_id, record.step)
        if self._accepted[(*place, record.attempt)]:
            raise ViolationError(f"I2: {place} attempt {record.attempt} is claimed again")
        if job.status.is_terminal:
            self._claimed_after_end.add(record.lease)
        flow = self._flow_of(job).steps
        if not reference.may_start(flow, record.step, self._ended[job.job_id]):
            raise ViolationError(f"I1: {place} began before its dependencies allowed it")

    def _attempt_ended(self, place, before, after):
        key = (*place, before.attempt)
        self._accepted[key] += 1
        if self._accepted[key] > 1:
            raise ViolationError(f"I2: {place} attempt {before.attempt} ended twice")
        if after.status.is_terminal:
            self._ended[place[0]][place[1]] = str(after.status)

    def observe(self, state):
        """Compare what is shown of a job with what was shown before."""
        flow = self._flow_of(state.job)
        statuses = derive(flow, state)
        shown = self._shown.get(state.job.job_id)
        if shown is not None:
            for step, old in shown.items():
                new = statuses[step]
                if old != new and old.is_terminal:
                    raise ViolationError(
                        f"I4: {state.job.job_id}/{step} was shown as {old}, now as {new}"
                    )
        self._shown[state.job.job_id] = statuses

    # What the world outside did.

    def created(self, key, job_id):
        if key is not None and self._by_key.setdefault(key, job_id) != job_id:
            raise ViolationError(f"I5: key {key} made {self._by_key[key]} and {job_id}")

    def ran(self, hold):
        place = (hold.ref.job_id, hold.ref.step, hold.attempt)
        self.runs[place] += 1
        if self.runs[place] > 1:
            raise ViolationError(f"I2: user code of {place} ran twice")
        if hold.lease in self._claimed_after_end:
            raise ViolationError(f"I1: {place} ran although its job had ended at the claim")

    def deleted(self, message, record):
        """A message may go when the table has its step: an attempt once claimed, or its end."""
        if record is None or (record.status == "ready" and record.attempt <= message.attempt):
            raise ViolationError(f"a message was deleted, but nobody has claimed {message}")

    # When all is over.

    def finished(self, store, logs, blobs, *, by_s):
        for job_id in store.ids():
            self._job_finished(store.state(job_id), logs, blobs, by_s)

    def _job_finished(self, state, logs, blobs, by_s):
        job = state.job
        if not job.status.is_terminal:
            raise ViolationError(f"I3: {job.job_id} is {job.status} {by_s:.0f} s after the faults")
        running = [r.step for r in state.steps.values() if r.status == "running"]
        if running:
            raise ViolationError(f"I3: {job.job_id} is {job.status}, but {running} run")
        if job.due is not None or job.after:
            raise ViolationError(f"I3: {job.job_id} has {set(job.after)} left, due {job.due}")
        flow = self._flow_of(job)
        self._status_finished(job, flow)
        try:
            load_payload(blobs, job.input)
        except StroemError as error:
            raise ViolationError(f"{job.job_id}: its input is not there: {error}") from None
        for record in state.steps.values():
            self._step_finished(job.job_id, record, blobs)
        for step, status in derive(flow, state).items():
            if not status.is_terminal:
                raise ViolationError(f"I3: {job.job_id}/{step} is still shown as {status}")
        self._log_finished(state, flow, logs, blobs)

    def _status_finished(self, job, flow):
        expected = reference.settled(flow.steps, self._ended[job.job_id])
        if job.status not in ("cancelled", expected):
            raise ViolationError(f"I4: {job.job_id} is {job.status}, should be {expected}")

    def _step_finished(self, job_id, record, blobs):
        place = (job_id, record.step)
        ran = [attempt for attempt in range(1, record.attempt + 1) if self.runs[(*place, attempt)]]
        if record.status == "completed":
            self.completed += 1
            if record.attempt not in ran:
                raise ViolationError(f"{place} is completed, but its code never ran")
            try:
                output = load_payload(blobs, record.output)
            except NotFoundError:
                raise ViolationError(
                    f"{place} is completed, but its output is not there"
                ) from None
            if output != self.outputs.get((*place, record.attempt)):
                raise ViolationError(f"{place}: its output is not what its code gave")

    def _log_finished(self, state, flow, logs, blobs):
        job = state.job
        key = keys.log_archive_blob(job.workspace, job.task, job.job_id, job.created_at)
        if not blobs.exists(key):
            raise ViolationError(f"I6: {job.job_id} has no archive")
        archived = gzip.decompress(blobs.get(key)).decode().splitlines()
        told = [line.to_json() for line in narrate(flow, state)]
        if [line for line in archived if '"step":"_server"' in line] != told:
            raise ViolationError(f"I6: {job.job_id}: the archive tells another history")
        for (job_id, step, attempt), lines in self.lines.items():
            if job_id == job.job_id:
                self._attempt_logged((job_id, step, attempt), lines, logs, archived)

    def _attempt_logged(self, place, lines, logs, archived):
        """An attempt that ended normally has its lines once, in order, without a gap."""
        chunks = [c for c in logs.chunks(place[0], place[1]) if c.attempt == place[2]]
        numbers = [n for c in chunks for n in range(c.first, c.last + 1)]
        if numbers != list(range(1, len(lines) + 1)):
            raise ViolationError(f"I6: {place} has lines {numbers}, wrote {len(lines)}")
        mark = f"{place[1]}#{place[2]}:"
        found = [text for text in (json.loads(a)["line"] for a in archived) if mark in text]
        if found != lines:
            raise ViolationError(f"I6: {place} is archived as {found}, wrote {lines}")
