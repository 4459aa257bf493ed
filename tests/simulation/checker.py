"""Watches every write that the store accepts, and says which invariant it breaks.

Source: protocol, I1 to I6. What must hold in the end is `finished`.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from chalicelib.domain.loops import instance_of
from chalicelib.domain.plan import derive
from tests.simulation import reference

AT_WORK = ("running", "suspended")
# Two who see at once that a loop has just begun may both send it.
MOST_SENDERS = 2


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Checker:
    """Its own book of what happened, kept apart from the store's. `seen` counts what a run had."""

    def __init__(self, definition, flows):
        self.definition = definition
        self.flows = flows
        self.jobs = None
        self.slots = None
        self.ended = defaultdict(dict)
        self.rounds = defaultdict(dict)
        self.runs = Counter()
        self.outputs = {}
        self.lines = {}
        self.answers = {}
        self.taken = {}
        self.reruns = {}
        self.seen = Counter()
        self.moves = 0
        self._accepted = Counter()
        self._shown = {}
        self._by_key = {}
        self._claimed_after_end = set()
        self._claimed_once = set()
        self._pauses = Counter()
        self._claimed_paused = {}
        self._read = {}
        self._sent = Counter()
        self._senders = defaultdict(set)
        self._swept = set()
        self._made_for = {}
        self._working = defaultdict(set)
        self.is_calm = False

    def flow(self, job):
        """Return the flow of the job; what a hook runs has one step or is a task."""
        return self.flows.get(job.task)

    def steps_of(self, job):
        flow = self.flow(job)
        return flow.steps if flow else {}

    # What the store accepted.

    def job_made(self, job, actor):
        if actor.name == "sweep":
            self._swept.add(job.job_id)
        if job.parent is not None:
            made = self._made_for.setdefault(job.parent, job.job_id)
            if made != job.job_id:
                raise ViolationError(f"{job.parent} has two sub-jobs: {made} and {job.job_id}")
        self.seen[f"{job.source_type} jobs"] += 1

    def job_read(self, actor, job):
        """Note what an actor knows of a job: whether it saw it paused, and which pause it was."""
        self._read[actor.number, job.job_id] = self._pauses[job.job_id] if job.paused else 0

    def job_paused(self, before, after):
        if after.paused and not before.paused:
            self._pauses[after.job_id] += 1
            self.seen["pauses"] += 1

    def job_seeded(self, job, records):
        """Note what a re-run takes over: as if it had just ended."""
        self.seen["seeds"] += 1
        for record in (*records.steps, *records.instances):
            place = (job.job_id, record.step)
            if record.status.is_terminal and place not in self.taken:
                self.taken[place] = record
                self.seen["taken over"] += 1
                self._ends(place, record)

    def job_written(self, before, after):
        self.moves += 1
        if before is not None and before.status.is_terminal and before.status != after.status:
            raise ViolationError(f"I4: job {after.job_id} was {before.status}, now {after.status}")
        if after.admitted and not before.admitted:
            self.seen["admissions"] += 1

    def step_written(self, job, lease, before, after, actor):
        self.moves += 1
        if actor.name == "sweep":
            self._swept.add(job.job_id)
        place = (job.job_id, after.step)
        was = before.status.value if before is not None else None
        now = after.status.value
        if was is not None and before.status.is_terminal:
            if was != now or before.output != after.output or before.attempt != after.attempt:
                raise ViolationError(f"I4: {place} was {was}, now {now}")
            return
        if now in AT_WORK:
            self._works(job, after)
        else:
            self._working[job.job_id].discard(after.step)
        if was in AT_WORK:
            self._moved_on(job, place, lease, before, after)
        elif now != was:
            self._begun(job, place, after, actor)

    def _works(self, job, record):
        """Of the jobs under a limit no more than it says are at work at once."""
        if job.status.is_terminal or not job.slots:
            return
        self._working[job.job_id].add(record.step)
        for slot in job.slots:
            found = [
                job_id
                for job_id, steps in self._working.items()
                if steps and any(one.key == slot.key for one in self.jobs.peek(job_id).slots)
            ]
            if len(found) > slot.limit:
                raise ViolationError(f"{found} work at once under {slot.key}: {slot.limit} may")

    def places_given(self, slot, holders):
        if len(holders) > slot.limit:
            raise ViolationError(f"{len(holders)} have a place under {slot.key}: {slot.limit} may")

    def _begun(self, job, place, record, actor):
        """A claim, or what the engine decided, or the end of what waited when the job ended."""
        if record.status == "cancelled":
            self._must_be_cancelled(job, place)
            self._ends(place, record)
            return
        if record.status == "running" and record.session is not None:
            self._claimed(job, place, record)
        elif job.paused and self._read.get((actor.number, job.job_id)) == self._pauses[job.job_id]:
            raise ViolationError(f"{place} was begun by who had seen its job paused")
        self._may_begin(job, place, record)
        self.seen[self._kind(record)] += 1
        if record.status.is_terminal:
            self._ends(place, record)

    def _kind(self, record):
        if record.loop is not None:
            return "loops"
        if record.child is not None:
            return "sub-jobs"
        return {"running": "claims", "suspended": "approvals"}.get(
            record.status.value, f"decided as {record.status}"
        )

    def _claimed(self, job, place, record):
        self._claimed_once.add((*place, record.attempt))
        if self._accepted[(*place, record.attempt)]:
            raise ViolationError(f"I2: {place} attempt {record.attempt} is claimed again")
        if job.status.is_terminal:
            self._claimed_after_end.add(record.lease)
        if job.paused:
            self._claimed_paused[record.lease] = self._pauses[job.job_id]

    def _may_begin(self, job, place, record):
        instance = instance_of(record.step)
        if instance is None:
            steps = self.steps_of(job)
            if steps and not reference.may_start(steps, record.step, self.ended[job.job_id]):
                raise ViolationError(f"I1: {place} began before its dependencies allowed it")
            return
        self.seen["instances"] += 1
        step = self.steps_of(job)[instance.step]
        ended = self.rounds[job.job_id, instance.step]
        why = reference.why_not(step, instance.index, ended) if record.attempt == 1 else None
        if why is not None:
            raise ViolationError(f"I1: {place} began, but {why}")
        loop = self.jobs.state(job.job_id).steps.get(instance.step)
        if loop is None or (loop.status != "running" and not job.status.is_terminal):
            raise ViolationError(f"I1: {place} began, but its loop does not run")

    def _moved_on(self, job, place, lease, before, after):
        was, now = before.status.value, after.status.value
        if was == now:
            if after.lease != before.lease:
                raise ViolationError(f"I2: {place} attempt {after.attempt} is held twice")
            return
        if was == "suspended" and now == "cancelled" and lease is None:
            self._must_be_cancelled(job, place)
        elif lease != before.lease:
            raise ViolationError(f"I2: {place} held by {before.lease} was ended by {lease}")
        if now == "ready" and after.attempt == before.attempt:
            self._handed_back(place, before)
        else:
            self._attempt_ended(job, place, before, after)

    def _must_be_cancelled(self, job, place):
        if job.status != "cancelled":
            raise ViolationError(f"I4: {place} is cancelled, but its job is {job.status}")

    def _handed_back(self, place, before):
        """What was never begun may be claimed again, by another lease."""
        self.seen["handed back"] += 1
        if self.runs[(*place, before.attempt)]:
            raise ViolationError(
                f"I2: {place} attempt {before.attempt} is handed back, but it ran"
            )

    def _attempt_ended(self, job, place, before, after):
        key = (*place, before.attempt)
        self._accepted[key] += 1
        if self._accepted[key] > 1:
            raise ViolationError(f"I2: {place} attempt {before.attempt} ended twice")
        if after.status == "ready":
            self.seen["retries"] += 1
        if before.loop is not None:
            self._loop_ended(job, place, before, after)
        if after.status.is_terminal:
            self._ends(place, after)

    def _loop_ended(self, job, place, before, after):
        ended = self.rounds[place]
        if after.status == "cancelled":
            self._must_be_cancelled(job, place)
            return
        step = self.steps_of(job)[after.step]
        expected = reference.loop_ends(step, before.loop.total, ended)
        if after.status != expected:
            raise ViolationError(f"I1: loop {place} is {after.status}, should be {expected}")

    def _ends(self, place, record):
        instance = instance_of(record.step)
        if instance is None:
            self.ended[place[0]][record.step] = str(record.status)
        else:
            self.rounds[place[0], instance.step][instance.index] = str(record.status)

    def observe(self, state):
        """Compare what is shown of a job with what was shown before."""
        flow = self.flow(state.job)
        if flow is None:
            return
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

    def answered(self, ref, attempt, *, approved):
        """Somebody was told that his answer counts."""
        place = (ref.job_id, ref.step, attempt)
        if place in self.answers:
            raise ViolationError(f"{place}: two answers were accepted")
        self.answers[place] = approved

    def ran(self, hold):
        place = (hold.ref.job_id, hold.ref.step, hold.attempt)
        self.runs[place] += 1
        if self.runs[place] > 1:
            raise ViolationError(f"I2: user code of {place} ran twice")
        if hold.lease in self._claimed_after_end:
            raise ViolationError(f"I1: {place} ran although its job had ended at the claim")
        pause = self._claimed_paused.get(hold.lease)
        if pause == self._pauses[hold.ref.job_id] and self.jobs.peek(hold.ref.job_id).paused:
            raise ViolationError(f"{place} ran although its job was paused at the claim")

    def was_given(self, hold, rendered, step):
        """Compare what user code reads of an earlier step with what that step gave."""
        if "n" not in step.input:
            return
        source = step.input["n"].split()[1].split(".")[0]
        if (hold.ref.job_id, source) in self.taken:
            return
        record = self.jobs.state(hold.ref.job_id).steps[source]
        told = self.outputs[hold.ref.job_id, source, record.attempt]["n"]
        if str(rendered.input["n"]) != str(told):
            raise ViolationError(f"{hold.ref} reads {rendered.input['n']}, {source} gave {told}")

    def sent(self, message, actor):
        """Where nothing went wrong, the sweep is never the first to send an attempt."""
        place = (message.ref.job_id, message.ref.step, message.attempt)
        self._sent[place] += 1
        if actor.name == "sweep":
            if self.is_calm and self._sent[place] == 1 and place[0] not in self._swept:
                raise ViolationError(f"nobody sent {place} until the sweep came")
        elif self.is_calm and "[" in place[1]:
            self._senders[place].add(actor.number)
            if len(self._senders[place]) > MOST_SENDERS:
                raise ViolationError(f"{place} was sent by {len(self._senders[place])} callers")

    def deleted(self, message):
        """A message may go when the table has its step: an attempt once claimed, or its end.

        Who hands an attempt back keeps its own message, if it had one.
        """
        record = self.jobs.record(message.ref)
        was_claimed = (message.ref.job_id, message.ref.step, message.attempt) in self._claimed_once
        is_waiting = record is None or (
            record.status == "ready" and record.attempt <= message.attempt
        )
        if is_waiting and not was_claimed:
            raise ViolationError(f"a message was deleted, but nobody has claimed {message}")
