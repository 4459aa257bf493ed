"""Every status that is not terminal has a rule of the sweep that ends it (I8).

Each state is put into the store by hand, as a crash would leave it: no message, no live worker
that knows of it, nobody in the middle of anything. The sweep, a new worker and people do the rest.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from chalicelib.domain.job import AfterAction, LoopGroup, LoopRun, Parent, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.values import Payload, StepRef
from chalicelib.engine.concurrency import waiter_of
from chalicelib.engine.jobs import JobRequest, create
from chalicelib.engine.making import derived_id
from tests.fakes.clock import NOON
from tests.simulation.test_cut_off_anywhere import Cut, Day

WORKSPACE = """
actions:
  act: { type: script, script: "true" }
  ask: { type: approval, message: "Go on?" }
  low: { type: task, task: low }
tasks:
  script: { flow: { s: { action: act, retry: { max_attempts: 2, delay: 5s } } } }
  task: { flow: { s: { action: low } } }
  approval: { on_suspended: [{ action: act }], flow: { s: { action: ask, timeout: 2m } } }
  low: { flow: { x: { action: act } } }
  limited: { concurrency: { limit: 1 }, flow: { s: { action: act } } }
  hooked:
    retry: { max_attempts: 2, delay: 5s }
    on_error: [{ action: act }]
    flow: { s: { action: act } }
  loop_of_script: { flow: { s: { action: act, for_each: [1, 2] } } }
  loop_of_task: { flow: { s: { action: low, for_each: [1, 2] } } }
  loop_of_approval: { flow: { s: { action: ask, for_each: [1, 2], timeout: 2m } } }
"""
LIVE = (JobStatus.PENDING, JobStatus.RUNNING)
# What a step of each kind may be while it has not ended.
STEPS = {
    "script": ("untouched", "ready", "retry", "running", "unheard", "halted"),
    "task": ("untouched", "retry", "no child", "lost child", "ended child", "halted"),
    "approval": ("untouched", "suspended", "untold", "halted"),
}
LOOPS = ("untouched", "not sent", "sent", "mark only")


class State:
    """A house in which one job stands as it was put there."""

    def __init__(self, task):
        self.day = Day(Cut(), WORKSPACE)
        house, self.store = self.day.house, self.day.store
        request = JobRequest(workspace="shop", task=task)
        engine = replace(house.engine, queue=_Nowhere())
        self.job_id = create(engine, request).job_id
        # Whatever its making led to is gone again.
        for kept in (self.store._steps, self.store._instances, self.store._loops):
            kept.clear()
        for job_id in [key for key in self.store._jobs if key != self.job_id]:
            del self.store._jobs[job_id]
        self.change(status=JobStatus.PENDING, started_at=None)

    def change(self, **fields):
        self.store._jobs[self.job_id] = replace(self.store._jobs[self.job_id], **fields)

    def put(self, name, state):
        record = self._record(name, state)
        if record is not None:
            self.store._put(StepRef(self.job_id, name), record)

    def _record(self, name, state):
        base = StepRecord(step=name, status=StepStatus.READY, attempt=1, nonce="n")
        running = replace(base, status=StepStatus.RUNNING, lease="n", started_at=NOON)
        if state == "untouched":
            return None
        if state == "ready":
            return replace(base, ready_at=NOON)
        if state == "retry":
            return replace(base, attempt=2, retry_at=NOON)
        if state in ("running", "halted"):
            return replace(running, session="gone", worker="w", halted=state == "halted")
        if state == "unheard":
            return replace(running, session=self.day.house.session, worker="w")
        return self._by_engine(name, state, running)

    def _by_engine(self, name, state, running):
        if "child" in state:
            child = derived_id(self.job_id, name, "1")
            self._make_child(name, child, state)
            return replace(running, child=child, lease=child)
        message = Payload({"approval_message": "Go on?"})
        return replace(
            running,
            status=StepStatus.SUSPENDED,
            suspended_at=NOON,
            output=message,
            tell=state == "untold",
        )

    def _make_child(self, name, child, state):
        """Have the engine make the sub-job, and forget what it did beside that."""
        if state == "no child":
            return
        made = replace(
            self.store._jobs[self.job_id],
            job_id=child,
            task="low",
            parent=Parent(StepRef(self.job_id, name), 1),
            depth=1,
            status=JobStatus.PENDING,
        )
        if state == "ended child":
            after = frozenset({AfterAction.PARENT, AfterAction.ARCHIVE_LOG})
            made = replace(made, status=JobStatus.FAILED, completed_at=NOON, after=after)
        self.store._jobs[child] = made

    def loop(self, state, instance):
        if state == "untouched":
            return
        sent = 0 if state == "not sent" else 2
        run = LoopRun(2, Payload([1, 2]), sent)
        record = StepRecord(
            step="s", status=StepStatus.RUNNING, attempt=1, nonce="n", lease="n", loop=run
        )
        self.store._put(StepRef(self.job_id, "s"), replace(record, started_at=NOON))
        if state == "sent":
            self.store.begin_group(self.job_id, "s", LoopGroup(0, frozenset({0, 1})))
            self.put("s[0]", instance)

    def cancel(self):
        after = frozenset({AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG})
        self.change(status=JobStatus.CANCELLED, completed_at=NOON, after=after)

    def must_end(self):
        self.day.recover()
        self.day.check("by hand")


class _Nowhere:
    """A queue that loses everything."""

    def send(self, pool, messages, group=None):
        pass


def states_of_steps():
    for kind, states in STEPS.items():
        for state, status in product(states, (*LIVE, JobStatus.CANCELLED)):
            is_begun = state != "untouched"
            if (state == "halted") != (status is JobStatus.CANCELLED) and state == "halted":
                continue
            if not (is_begun and status is JobStatus.PENDING and state == "halted"):
                yield kind, state, status


def states_of_loops():
    for kind, states in STEPS.items():
        for loop, state in product(LOOPS, states):
            if loop == "sent" or state == "untouched":
                for status in (JobStatus.RUNNING, JobStatus.CANCELLED):
                    if state != "halted" or status is JobStatus.CANCELLED:
                        yield kind, loop, state, status


@pytest.mark.parametrize("is_paused", [False, True])
@pytest.mark.parametrize(("kind", "state", "status"), [*states_of_steps()])
def test_a_job_comes_to_its_end_wherever_its_step_was_left(kind, state, status, is_paused):
    given = State(kind)
    given.put("s", "running" if state == "halted" and kind == "approval" else state)
    given.change(status=status, paused=is_paused)
    if status is JobStatus.CANCELLED:
        given.cancel()
    given.must_end()


@pytest.mark.parametrize(("kind", "loop", "state", "status"), [*states_of_loops()])
def test_a_job_comes_to_its_end_wherever_its_loop_was_left(kind, loop, state, status):
    given = State(f"loop_of_{kind}")
    given.loop(loop, state)
    given.change(status=status)
    if status is JobStatus.CANCELLED:
        given.cancel()
    given.must_end()


def test_every_status_that_is_not_terminal_is_among_these_states():
    jobs = {status for *_, status in states_of_steps() if not status.is_terminal}
    assert jobs == {status for status in JobStatus if not status.is_terminal}
    given = {"retry": "ready", "untold": "suspended", "halted": "running", "unheard": "running"}
    steps = {given.get(state, state) for _, state, _ in states_of_steps()}
    # A pending step is an untouched one.
    live = {str(status) for status in StepStatus if not status.is_terminal} - {"pending"}
    assert live <= steps


@pytest.mark.parametrize("status", [*JobStatus])
@pytest.mark.parametrize("action", [*AfterAction])
def test_what_the_end_of_a_job_leaves_to_do_is_done(action, status):
    if not status.is_terminal:
        return
    given = State("hooked")
    given.put("s", "halted" if status is JobStatus.CANCELLED else "untouched")
    given.change(
        status=status,
        completed_at=NOON,
        after=frozenset({action, AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG})
        if status is JobStatus.CANCELLED
        else frozenset({action}),
        retry_job=derived_id(given.job_id, "retry") if action is AfterAction.RETRY else None,
    )
    given.day.recover()
    job = given.store._jobs[given.job_id]
    assert (job.after, job.due) == (frozenset(), None)


@pytest.mark.parametrize("holder", [None, "gone", "mine"])
@pytest.mark.parametrize("stands_in_line", [False, True])
def test_a_job_that_waits_for_a_place_has_it_in_the_end(holder, stands_in_line):
    given = State("limited")
    job = given.store._jobs[given.job_id]
    given.change(admitted=False)
    slot, slots = job.slots[0], given.day.slots
    slots._holders.clear()
    slots._waiters.clear()
    if holder is not None:
        slots.take(slot, given.job_id if holder == "mine" else "no such job")
    if stands_in_line:
        slots.wait(slot.key, waiter_of(job))
    given.must_end()
