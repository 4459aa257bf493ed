"""Each use case cut off at each of its calls: before it, after it, refused, its reply lost.

What is left behind is then set going by the sweep, a new worker and people alone: every job ends,
no attempt runs twice, no place is left taken.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest

from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import ConflictError, NotFoundError, StroemError, UnavailableError
from chalicelib.domain.reruns import FromStep, StartFrom
from chalicelib.domain.values import StepRef
from chalicelib.engine import pausing, recovery
from chalicelib.engine.advance import cancel
from chalicelib.engine.answers import answer
from chalicelib.engine.reruns import RerunRequest, rerun
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from chalicelib.store.memory_slots import MemorySlots
from tests.fakes.clock import FakeClock
from tests.fakes.flows import a_house

WAYS = ("before", "after", "lost", "refused")
MINUTES_TO_END = 12
IN_VAIN = 3
WORKSPACE = """
actions:
  act: { type: script, script: "true" }
  ask: { type: approval, message: "Go on?" }
  tell: { type: script, script: "true" }
tasks:
  steps:
    flow:
      a: { action: act }
      b: { action: act, depends_on: [a], retry: { max_attempts: 2, delay: 5s } }
      c: { action: act, depends_on: [a] }
      d: { action: act, depends_on: [b, c], continue_on_failure: true }
  rounds:
    flow:
      first: { action: act, when: "true" }
      wide: { action: act, for_each: [1, 2, 3], when: "{{ each.item > 1 }}", depends_on: [first] }
      long: { action: act, for_each: [1, 2, 3], max_parallel: 2, depends_on: [first] }
      row: { action: act, for_each: [1, 2], sequential: true, depends_on: [wide] }
  asking:
    on_suspended: [{ action: tell }]
    flow:
      one: { action: ask }
      two: { action: ask, for_each: [1, 2] }
      last: { action: act, depends_on: [one, two] }
  limited:
    concurrency: { limit: 1 }
    flow: { a: { action: act }, b: { action: act, depends_on: [a] } }
"""


class CutOffError(BaseException):
    """The process died."""


class Cut:
    """Counts the calls of all ports and cuts off the one with the number `at`."""

    def __init__(self, at=None, way=None):
        self.at = at
        self.way = way
        self.calls = 0

    def around(self, target):
        return _Port(target, self)

    def call(self, method, args, kwargs):
        self.calls += 1
        if self.calls != self.at:
            return method(*args, **kwargs)
        if self.way == "before":
            raise CutOffError
        if self.way == "refused":
            raise UnavailableError("throttled")
        method(*args, **kwargs)
        if self.way == "after":
            raise CutOffError
        raise UnavailableError("the reply was lost")


class _Port:
    def __init__(self, target, cut):
        self._target = target
        self._cut = cut

    def __getattr__(self, name):
        method = getattr(self._target, name)
        return lambda *args, **kwargs: self._cut.call(method, args, kwargs)


class Day:
    """A house whose calls may be cut off, and what ran in it."""

    def __init__(self, cut, workspace=WORKSPACE):
        clock = FakeClock()
        ports = {
            "jobs": MemoryJobs(),
            "slots": MemorySlots(),
            "registry": MemoryRegistry(),
            "logs": MemoryLogs(),
            "blobs": MemoryBlobs(),
            "queue": MemoryQueue(clock),
        }
        self.store, self.slots = ports["jobs"], ports["slots"]
        whole = {name: cut.around(port) for name, port in ports.items()}
        self.house = a_house(workspace, ports=whole | {"clock": clock})
        self.engine = self.house.engine
        self.runs = Counter()
        self.begun = cut.calls

    def work(self, session=None, fail=(), most=20):
        """Run what there is to run; what `fail` names fails the first time."""
        house, failed, left = self.house, set(), IN_VAIN
        while most and left:
            assignment = house.take(session)
            if assignment is None:
                # No message, or one that had done its work.
                left -= 1
                continue
            most -= 1
            hold = assignment.hold
            self.runs[hold.ref.job_id, hold.ref.step, hold.attempt] += 1
            house.beat(assignment, session=session)
            is_failure = hold.ref.step in fail and hold.ref.step not in failed
            failed.add(hold.ref.step)
            house.end(assignment, error="exit code 1" if is_failure else None)

    def answer_all(self, approved=(True, False, True)):
        """Answer what is asked, one after the other."""
        asked = [
            StepRef(job_id, record.step)
            for job_id in self.store._jobs
            for record in self.records(job_id)
            if record.status == "suspended"
        ]
        for number, ref in enumerate(asked):
            said = Answer(approved=approved[number % len(approved)], by="somebody")
            answer(self.engine, ref.job_id, ref.step, said)

    def records(self, job_id):
        state = self.store.load(job_id)
        loops = [key for key, record in state.steps.items() if record.loop is not None]
        found = [self.store.load_instances(job_id, key, 0, 99).values() for key in loops]
        return [*state.steps.values(), *(record for some in found for record in some)]

    def recover(self):
        """Let a sweep, a new worker and people go on until all must be over."""
        house = self.house
        session = house.new_session()
        for _ in range(2 * MINUTES_TO_END):
            house.clock.tick(30)
            house.beat(session=session)
            recovery.sweep(self.engine)
            for job in list(self.store._jobs.values()):
                if job.paused and not job.status.is_terminal:
                    pausing.resume(self.engine, job.job_id)
            with suppress(ConflictError, NotFoundError):
                self.answer_all()
            self.work(session)

    def check(self, where):
        for job in self.store._jobs.values():
            assert job.status.is_terminal, (where, job)
            assert (job.due, job.after) == (None, frozenset()), (where, job)
            for record in self.records(job.job_id):
                assert record.status.is_terminal, (where, job, record)
        assert all(count == 1 for count in self.runs.values()), (where, self.runs)
        assert not any(self.slots._holders.values()), where
        assert not any(self.slots._waiters.values()), where


def steps_and_a_cancellation(day):
    """A job whose second step fails once, and another that is cancelled while it runs."""
    day.house.job(task="steps")
    second = day.house.job(task="steps")
    day.work(fail=("b",), most=3)
    cancel(day.engine, second)
    day.house.clock.tick(6)
    day.work()


def loops_and_a_kill(day):
    """A job of loops, some of whose instances fail, and another that is killed in its loops."""
    day.house.job(task="rounds")
    day.work(fail=("long[1]", "row[0]"))
    second = day.house.job(task="rounds")
    day.work(most=2)
    running = day.house.take()
    cancel(day.engine, second, killed=True)
    if running is not None:
        day.runs[running.hold.ref.job_id, running.hold.ref.step, 1] += 1
        day.house.beat(running)
        day.house.end(running, cancelled=True, error="stopped")
    recovery.sweep(day.engine)


def approvals_and_their_answers(day):
    """A job that asks and is answered; another that is cancelled while it asks."""
    day.house.job(task="asking")
    second = day.house.job(task="asking")
    day.answer_all()
    day.work()
    third = day.house.job(task="asking")
    for job_id in (second, third):
        with suppress(ConflictError):
            cancel(day.engine, job_id)


def limits_and_who_waits(day):
    """Three jobs of which one may run at a time; one of those who wait is cancelled."""
    jobs = [day.house.job(task="limited") for _ in range(3)]
    day.work(most=1)
    cancel(day.engine, jobs[1])
    day.work()


def a_pause_and_a_resumption(day):
    """A job is paused between its steps and goes on; its loops are paused half-way."""
    job_id = day.house.job(task="steps")
    day.work(most=1)
    pausing.pause(day.engine, job_id)
    day.work()
    pausing.resume(day.engine, job_id)
    loop = day.house.job(task="rounds")
    day.work(most=3)
    pausing.pause(day.engine, loop)
    day.work()
    pausing.resume(day.engine, loop)
    day.work()


def reruns_of_what_failed(day):
    """A job of loops that failed runs again from where it failed, from a step, and whole."""
    job_id = day.house.job(task="rounds")
    day.work(fail=("long[1]", "row[0]"), most=30)
    for start in (StartFrom.FAILED, FromStep("long"), StartFrom.START):
        rerun(day.engine, RerunRequest(job_id=job_id, start=start, idempotency_key=str(start)))
        day.work(most=30)


DAYS = (
    steps_and_a_cancellation,
    loops_and_a_kill,
    approvals_and_their_answers,
    limits_and_who_waits,
    a_pause_and_a_resumption,
    reruns_of_what_failed,
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("live", DAYS, ids=lambda live: live.__name__)
def test_whatever_is_cut_off_every_job_ends_and_no_attempt_runs_twice(live, way):
    cut = Cut()
    whole = Day(cut)
    live(whole)
    numbers = range(whole.begun + 1, cut.calls + 1)
    assert len(numbers) > 50
    whole.recover()
    whole.check("whole")
    for number in numbers:
        day = Day(Cut(number, way))
        with suppress(CutOffError, StroemError):
            live(day)
        day.recover()
        day.check((number, way))
