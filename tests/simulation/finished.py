"""What must hold when all is over: every job has ended as its steps, its code and people said.

Source: protocol, I3 to I6 and I8; the language, sections 1.6 to 1.9.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain import keys
from chalicelib.domain.errors import StroemError
from chalicelib.domain.hooks import find_task
from chalicelib.domain.logs import narrate
from chalicelib.domain.loops import instance_of
from chalicelib.domain.plan import derive, flow_of
from chalicelib.domain.values import StepRef
from chalicelib.engine.payloads import load_payload
from tests.simulation import meanings, reference
from tests.simulation.checker import ViolationError
from tests.simulation.scheduler import EPOCH

# The longest that a job is not looked at, and two ticks.
SWEPT_AFTER = timedelta(seconds=360)
_OF_THE_LIVING = ("unclaimed/", "on_suspended")
_NOBODY = "No active worker"
_TIMED_OUT = "Step timed out"


class Finished:
    """Looks at everything once, when nothing goes on any more; `by_s` after the faults ended."""

    def __init__(self, world, by_s):
        self._book = world.checker
        self._store = world.jobs
        self._slots = world.slots
        self._logs = world.logs
        self._blobs = world.blobs
        self._by_s = by_s
        self._faults_end = EPOCH + timedelta(seconds=world.scheduler.now - by_s)
        self._definition = world.definition
        self._by_source = defaultdict(list)
        self._lines = defaultdict(list)

    def check(self):
        for job_id in self._store.ids():
            job = self._store.peek(job_id)
            event = (job.source_id or "").rpartition("/")[2].partition("[")[0]
            where = (job.source_id or "").rpartition("[")[0]
            self._by_source[str(job.source_type), where or job.source_id].append(job)
            if job.source_type == "hook":
                self._book.seen[f"hooks {event}"] += 1
        for place, lines in self._book.lines.items():
            self._lines[place[0]].append((place, lines))
        for job_id in self._store.ids():
            self._check_job(self._whole(job_id))
        holders, waiters = self._slots.left()
        if holders or waiters:
            raise ViolationError(f"I8: left over: places {holders}, waiters {waiters}")

    def _whole(self, job_id):
        state = self._store.state(job_id)
        found = {
            key: dict(sorted(self._store.instances(job_id, key).items()))
            for key, record in state.steps.items()
            if record.loop is not None
        }
        return replace(state, instances=found)

    def _check_job(self, state):
        job = state.job
        task = find_task(self._definition, job.task)
        flow = self._book.flow(job) or flow_of(task, self._definition.actions)
        self._ended(state, flow)
        if self._readable(job.input, f"{job.job_id}: its input") is None:
            raise ViolationError(f"{job.job_id}: its input is nothing")
        values = self._outputs(state)
        self._rerun(job, flow)
        self._in_time(job)
        for record in state.steps.values():
            self._step(state, flow.steps[record.step], record, values)
        for key, records in state.instances.items():
            for record in records.values():
                self._instance(state, flow.steps[key], record, values)
        if job.status not in ("cancelled", "skipped"):
            expected = reference.settled(flow.steps, self._book.ended[job.job_id])
            if job.status != expected:
                raise ViolationError(f"I4: {job.job_id} is {job.status}, should be {expected}")
        self._hooks(state, task)
        self._suspensions(state, task)
        self._tried_again(job, task)
        self._log(state, flow)

    def _ended(self, state, flow):
        job = state.job
        if not job.status.is_terminal:
            after = f"{self._by_s:.0f} s after the faults"
            raise ViolationError(f"I3: {job.job_id} is {job.status} {after}")
        if job.due is not None or job.after:
            raise ViolationError(f"I3: {job.job_id} has {sorted(job.after)} left, due {job.due}")
        records = [*state.steps.values()]
        records += [r for found in state.instances.values() for r in found.values()]
        for record in records:
            if not record.status.is_terminal:
                where = f"{job.job_id}/{record.step}"
                raise ViolationError(f"I3: {job.job_id} is {job.status}, {where} {record.status}")
        for step, status in derive(flow, state).items():
            if not status.is_terminal:
                raise ViolationError(f"I3: {job.job_id}/{step} is still shown as {status}")

    def _in_time(self, job):
        """A deadline ends a job, at the latest when the sweep comes by."""
        if job.deadline is None:
            return
        latest = max(job.deadline, self._faults_end) + SWEPT_AFTER
        if job.completed_at > latest:
            raise ViolationError(f"{job.job_id} ended {job.completed_at - job.deadline} too late")

    def _readable(self, payload, what):
        try:
            return load_payload(self._blobs, payload)
        except StroemError as error:
            raise ViolationError(f"{what} is not there: {error}") from None

    def _outputs(self, state):
        """Return what templates may have read: the outputs of completed steps."""
        return {
            key: self._readable(record.output, f"{state.job.job_id}/{key}: its output")
            for key, record in state.steps.items()
            if record.status == "completed"
        }

    def _step(self, state, step, record, values):
        place = (state.job.job_id, record.step)
        if self._is_taken(place, record) or self._never_began(record):
            return
        decided = None
        if step.when is not None and not meanings.asks_each(step):
            decided = meanings.when_says(step.when, values)
        self._decided(place, record, decided, may_skip=step.for_each is not None)
        if step.for_each is not None:
            if decided is None or decided is True:
                self._loop(state, step, record, values)
            return
        self._attempts(place, step, record, values.get(step.key))

    def _never_began(self, record):
        was_unclaimed = (record.error or "").startswith(_NOBODY)
        return was_unclaimed or (record.status == "cancelled" and not record.started_at)

    def _is_taken(self, place, record):
        """Say whether a re-run took the result over: then it is that of the job before it."""
        if place not in self._book.taken:
            return False
        source = self._store.peek(place[0]).source_job
        old = self._store.record(StepRef(source, place[1]))
        if (old.status, old.output, old.error) != (record.status, record.output, record.error):
            raise ViolationError(f"{place} was taken over of {source}, but is another")
        return True

    def _rerun(self, job, flow):
        """A re-run takes over exactly what need not run again."""
        source, start = self._book.reruns.get(job.job_id, (None, None))
        if source is None or not job.is_seeded:
            return
        old = self._store.state(source)
        words = reference.promote(flow.steps, self._book.ended[source])
        broken = [
            key for key, groups in old.loops.items() if any(g.failed for g in groups.values())
        ]
        again = reference.runs_again(flow.steps, words, start, broken)
        kept = {key for key in old.steps if key not in again}
        taken = {step for (job_id, step) in self._book.taken if job_id == job.job_id}
        if kept != {step for step in taken if instance_of(step) is None}:
            raise ViolationError(f"{job.job_id} took over {sorted(taken)}, not {sorted(kept)}")
        if job.job_id not in self._store.peek(source).reruns:
            raise ViolationError(f"{source} does not know that {job.job_id} runs it again")

    def _instance(self, state, step, record, values):
        place = (state.job.job_id, record.step)
        if self._is_taken(place, record) or self._never_began(record):
            return
        index = instance_of(record.step).index
        items = meanings.items_of(step, values)
        decided = None
        if meanings.asks_each(step):
            decided = meanings.when_says(step.when, values, items[index])
        self._decided(place, record, decided, may_skip=False)
        output = None
        if record.status == "completed":
            output = self._readable(record.output, f"{place}: its output")
        self._attempts(place, step, record, output)

    def _decided(self, place, record, decided, *, may_skip):
        """A condition decides as its text says; where there is none, nothing is skipped."""
        is_faulty = bool(record.error) and record.error.startswith("when condition error")
        expected = {False: "skipped", meanings.FAULT: "failed"}.get(decided)
        is_other = expected is not None and record.status != expected
        is_skipped = record.status == "skipped" and decided is not False and not may_skip
        if is_other or is_skipped or is_faulty != (decided is meanings.FAULT):
            raise ViolationError(f"{place} is {record.status}, its condition says {decided}")

    def _loop(self, state, step, record, values):
        place = (state.job.job_id, step.key)
        items = meanings.items_of(step, values)
        if items is meanings.FAULT:
            if record.status != "failed" or not record.error.startswith("for_each"):
                raise ViolationError(f"{place} is {record.status}, its list cannot be had")
            return
        if not items:
            if record.status != "skipped":
                raise ViolationError(f"{place} is {record.status}, its list is empty")
            return
        if record.loop is None or record.loop.total != len(items):
            raise ViolationError(f"{place} goes over {record.loop}, its list has {len(items)}")
        if record.status == "completed":
            self._loop_output(state, step, values[step.key], len(items))

    def _loop_output(self, state, step, output, total):
        records = state.instances.get(step.key, {})
        expected = [
            self._readable(records[i].output, f"{step.key}[{i}]")
            if i in records and records[i].status == "completed"
            else None
            for i in range(total)
        ]
        if output != expected:
            raise ViolationError(f"{state.job.job_id}/{step.key}: its outputs are not in order")

    def _attempts(self, place, step, record, output):
        """The end is that of the last attempt: of its code, its sub-job or its answer."""
        action = self._definition.actions[step.action]
        if action.type == "task":
            self._child(place, record, output)
        elif action.type == "approval":
            self._answer(place, record)
        elif record.status == "completed":
            if not self._book.runs[(*place, record.attempt)]:
                raise ViolationError(f"{place} is completed, but its code never ran")
            if output != self._book.outputs.get((*place, record.attempt)):
                raise ViolationError(f"{place}: its output is not what its code gave")

    def _answer(self, place, record):
        said = self._book.answers.get((*place, record.attempt))
        expected = {True: "completed", False: "failed", None: None}[said]
        if expected not in (None, record.status):
            raise ViolationError(f"{place} is {record.status}, but the answer was {said}")

    def _child(self, place, record, output):
        seen = [record.child, *(past.child for past in record.history)]
        if len(set(seen)) != len(seen):
            raise ViolationError(f"{place}: one sub-job stands for two attempts")
        if record.child is None:
            return
        is_late = (record.error or "").startswith(_TIMED_OUT)
        if record.child not in self._store.ids():
            if not is_late:
                raise ViolationError(f"{place}: its sub-job {record.child} was never made")
            return
        child = self._store.peek(record.child)
        if child.parent.ref.step != record.step or child.parent.attempt != record.attempt:
            raise ViolationError(f"{place}: its sub-job {record.child} is another's")
        # Nothing fails any more in a job that was cancelled.
        is_stopped = record.status == "cancelled" and child.status == "failed"
        is_stopped = is_stopped and self._store.peek(place[0]).status == "cancelled"
        if record.status != child.status and not is_late and not is_stopped:
            raise ViolationError(f"{place} is {record.status}, its sub-job is {child.status}")
        if record.status == "completed":
            self._child_output(place, child, output)

    def _child_output(self, place, child, output):
        flow, records = self._book.flow(child), self._store.state(child.job_id).steps
        values = {
            key: self._readable(records[key].output, f"{child.job_id}/{key}: its output")
            for key in flow.sinks
            if key in records
        }
        expected = {key: value for key, value in values.items() if value is not None} or None
        if output != expected:
            raise ViolationError(f"{place}: its output is not that of its sub-job")

    def _fired(self, job_id, event):
        return self._by_source["hook", f"{job_id}/{event}"]

    def _hooks(self, state, task):
        job = state.job
        event, count = reference.hooks_fired(self._definition, task, job)
        for each in reference.EVENTS.values():
            fired = self._fired(job.job_id, each)
            wanted = count if each == event else 0
            if len(fired) != wanted:
                raise ViolationError(f"{job.job_id}: {len(fired)} hooks {each}, not {wanted}")
            if len({made.source_id for made in fired}) != len(fired):
                raise ViolationError(f"{job.job_id}: one hook {each} fired twice")

    def _suspensions(self, state, task):
        """Each suspension tells of itself once; one that ended meanwhile may have told nobody."""
        job_id = state.job.job_id
        count = reference.hooks_on(self._definition, task, state.job, "on_suspended")
        records = [*state.steps.values()]
        records += [r for found in state.instances.values() for r in found.values()]
        own = [r for r in records if (job_id, r.step) not in self._book.taken]
        waited = [r for r in own if r.suspended_at is not None]
        told = [r for r in waited if not r.tell and not r.halted]
        fired = Counter(made.source_id for made in self._fired(job_id, "on_suspended"))
        for index in range(count):
            number = fired.pop(f"{job_id}/on_suspended[{index}]", 0)
            if not len(told) <= number <= len(waited):
                raise ViolationError(
                    f"{job_id}: hook {index} told {number} times of {len(waited)} suspensions"
                )
        if fired:
            raise ViolationError(f"{job_id}: hooks fired that nobody asked for: {fired}")

    def _tried_again(self, job, task):
        if reference.is_tried_again(task, job) != (job.retry_job is not None):
            raise ViolationError(f"{job.job_id}: its next try is {job.retry_job}")
        if job.retry_job is not None:
            made = self._store.peek(job.retry_job)
            links = (made.retry_of, made.retry_attempt, made.source_id)
            if links != (job.retry_of or job.job_id, job.retry_attempt + 1, job.job_id):
                raise ViolationError(f"{made.job_id} is no next try of {job.job_id}: {links}")
        if job.source_type == "retry":
            before = self._store.peek(job.source_id)
            if before.retry_job != job.job_id:
                raise ViolationError(f"{job.job_id} tries {job.source_id} again uncalled")

    def _log(self, state, flow):
        job = state.job
        key = keys.log_archive_blob(job.workspace, job.task, job.job_id, job.created_at)
        if not self._blobs.exists(key):
            raise ViolationError(f"I6: {job.job_id} has no archive")
        archived = gzip.decompress(self._blobs.get(key)).decode().splitlines()
        found = [line for line in archived if '"step":"_server"' in line]
        told = [line.to_json() for line in narrate(flow, state)]
        if found != told:
            # What was told by one who had not heard of the end may come too late.
            notes = tuple(n for n in state.notes if not n.key.startswith(_OF_THE_LIVING))
            sure = [line.to_json() for line in narrate(flow, replace(state, notes=notes))]
            told = [line for line in told if line in found or line in sure]
        if found != told:
            raise ViolationError(f"I6: {job.job_id}: the archive tells another history")
        for place, lines in self._lines[job.job_id]:
            self._attempt_logged(place, lines, archived)

    def _attempt_logged(self, place, lines, archived):
        """An attempt that ended normally has its lines once, in order, without a gap."""
        chunks = [c for c in self._logs.chunks(place[0], place[1]) if c.attempt == place[2]]
        numbers = [n for c in chunks for n in range(c.first, c.last + 1)]
        if numbers != list(range(1, len(lines) + 1)):
            raise ViolationError(f"I6: {place} has lines {numbers}, wrote {len(lines)}")
        mark = f"{place[1]}#{place[2]}:"
        found = [text for text in (json.loads(a)["line"] for a in archived) if mark in text]
        if found != lines:
            raise ViolationError(f"I6: {place} is archived as {found}, wrote {lines}")
