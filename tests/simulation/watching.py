"""The stores as the checker sees them: every write that is accepted is told to it."""

from __future__ import annotations

from chalicelib.domain.loops import instance_of
from chalicelib.domain.values import StepRef
from chalicelib.engine.moves import Line
from chalicelib.store.memory_jobs import MemoryJobs
from chalicelib.store.memory_slots import MemorySlots
from tests.simulation.checker import ViolationError


class Watching:
    """Mixed into a job store."""

    checker = None
    scheduler = None

    def ids(self):
        return list(self._jobs)

    def peek(self, job_id):
        """Return META at this instant."""
        return self._jobs[job_id]

    def state(self, job_id):
        """Return what a reader sees at this instant."""
        return MemoryJobs.load(self, job_id)

    def instances(self, job_id, step):
        """Return the records of a loop's instances by index."""
        return self._instances.get((job_id, step), {})

    def record(self, ref):
        return self._record(ref)

    def create(self, job):
        stands = super().create(job)
        if stands is job:
            self.checker.job_made(job, self.scheduler.current)
            self.checker.observe(self.state(job.job_id))
        return stands

    def load(self, job_id):
        state = super().load(job_id)
        self.checker.job_read(self.scheduler.current, state.job)
        return state

    def claim_step(self, claim):
        return self._step(claim.ref, claim.lease, super().claim_step, claim)

    def end_step(self, end):
        return self._step(end.ref, end.lease, super().end_step, end)

    def retry_step(self, retry):
        return self._step(retry.ref, retry.lease, super().retry_step, retry)

    def begin_step(self, begin):
        return self._step(begin.ref, begin.lease, super().begin_step, begin)

    def hand_back(self, ref, attempt, lease, nonce):
        return self._step(ref, lease, super().hand_back, ref, attempt, lease, nonce)

    def halt_step(self, ref, seen, at):
        return self._step(ref, None, super().halt_step, ref, seen, at)

    def told(self, ref):
        return self._step(ref, None, super().told, ref)

    def start(self, job_id, at):
        return self._job(job_id, super().start, job_id, at)

    def finish(self, job_id, end):
        return self._job(job_id, super().finish, job_id, end)

    def admit(self, job_id, at):
        return self._job(job_id, super().admit, job_id, at)

    def pause(self, job_id, *, paused):
        before = self._jobs.get(job_id)
        job = super().pause(job_id, paused=paused)
        self.checker.job_paused(before, job)
        return job

    def seed(self, job_id, records):
        refs = [StepRef(job_id, one.step) for one in (*records.steps, *records.instances)]
        before = {ref: self._record(ref) for ref in refs}
        super().seed(job_id, records)
        for ref, record in before.items():
            if record is not None and self._record(ref) != record:
                raise ViolationError(f"{ref} had moved on, and was written over by a re-run")
        self.checker.job_seeded(self.peek(job_id), records)

    def take_over(self, job_id, records):
        """Write the records, but not that they are there."""
        self._take_over(job_id, records)

    def _step(self, ref, lease, write, *wish):
        before = self._record(ref)
        result = write(*wish)
        after = self._record(ref)
        if after is not before:
            job = self._jobs[ref.job_id]
            self.checker.step_written(job, lease, before, after, self.scheduler.current)
            if instance_of(ref.step) is None:
                self.checker.observe(self.state(ref.job_id))
        return result

    def _job(self, job_id, write, *args):
        before = self._jobs.get(job_id)
        result = write(*args)
        after = self._jobs.get(job_id)
        if after is not before:
            self.checker.job_written(before, after)
            self.checker.observe(self.state(job_id))
        return result


class WatchedSlots(MemorySlots):
    """Slots, with holders in an order that is the same in every process."""

    checker = None

    def take(self, slot, job_id):
        has_place = super().take(slot, job_id)
        self.checker.places_given(slot, self._holders[slot.key])
        return has_place

    def line(self, key, limit):
        line = super().line(key, limit)
        return Line(dict.fromkeys(sorted(line.holders)).keys(), line.waiters)

    def left(self):
        """Return who still has a place or stands in line."""
        holders = [(key, job_id) for key, held in self._holders.items() for job_id in held]
        waiters = [(key, w.job_id) for key, line in self._waiters.items() for w in line]
        return sorted(holders), sorted(waiters)
