"""Jobs that start jobs, cut off at each of their calls: sub-jobs, hooks, and tries of a task.

What is left behind is then set going by the sweep and a new worker alone: every job ends, every
step that stands for a sub-job ends as that did, and nothing is started twice or forgotten.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest

from chalicelib.domain.errors import StroemError
from chalicelib.domain.hooks import event_of
from chalicelib.engine import hooks, recovery
from chalicelib.engine.advance import cancel
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.clock import FakeClock
from tests.fakes.flows import a_house
from tests.simulation.test_cut_off_anywhere import WAYS, Cut, CutOffError

WORKSPACE = """
on_error: [{ action: tell, input: { text: "{{ hook.error_message }}" } }]
actions:
  act: { type: script, script: "true" }
  tell: { type: script, script: "true", input: { text: { type: string } } }
  low: { type: task, task: low }
  rooms: { type: task, task: rooms }
tasks:
  top:
    retry: { max_attempts: 2, delay: 5s }
    on_success: [{ action: tell, input: { text: done } }, { action: low }]
    on_cancel: [{ action: tell, input: { text: "{{ hook.none }}" } }, { action: act }]
    flow:
      turns: { action: rooms, for_each: [1, 2], sequential: true, input: { n: "{{ each.item }}" } }
      one: { action: low, retry: { max_attempts: 2, delay: 5s } }
      last: { action: act, depends_on: [turns, one] }
  rooms: { input: { n: { type: integer } }, flow: { r: { action: low } } }
  low: { on_success: [{ action: act }], flow: { x: { action: act } } }
"""
MINUTES_TO_END = 15


def a_family(cut):
    clock = FakeClock()
    ports = {
        "jobs": MemoryJobs(),
        "registry": MemoryRegistry(),
        "logs": MemoryLogs(),
        "blobs": MemoryBlobs(),
        "queue": MemoryQueue(clock),
    }
    whole = {name: cut.around(port) for name, port in ports.items()}
    return a_house(WORKSPACE, ports=whole | {"clock": clock})


def a_day(house, runs):
    """A job whose first two steps at work fail, and another that is cancelled in between."""
    house.job()
    failures = 2
    for _ in range(3):
        assignment = house.take()
        if assignment is not None:
            runs[_place(assignment)] += 1
            failures -= 1
            house.end(assignment, error="exit code 1" if failures >= 0 else None)
    second = house.job()
    house.clock.tick(6)
    recovery.sweep(house.engine)
    cancel(house.engine, second)
    _work(house, house.session, runs)


def _place(assignment):
    ref = assignment.hold.ref
    return (ref.job_id, ref.step, assignment.hold.attempt)


def _work(house, session, runs):
    while assignment := house.take(session):
        runs[_place(assignment)] += 1
        house.end(assignment)


def _recover(house, runs):
    session = house.new_session()
    for _ in range(2 * MINUTES_TO_END):
        house.clock.tick(30)
        house.beat(session=session)
        recovery.sweep(house.engine)
        _work(house, session, runs)


def _check(house, where):
    store = house.engine.jobs._target
    for job in store._jobs.values():
        assert job.status.is_terminal, (where, job)
        assert (job.due, job.after) == (None, frozenset()), (where, job)
        state = store.load(job.job_id)
        assert all(record.status.is_terminal for record in state.steps.values()), (where, job)
    by_source = Counter((job.source_type, job.source_id) for job in store._jobs.values())
    for job in store._jobs.values():
        _check_links(house, store, job, by_source, where)


def _check_links(house, store, job, by_source, where):
    plan = house.engine.plan_of(job)
    if job.parent is not None:
        record = store.load_steps(job.parent.ref.job_id, (job.parent.ref.step,)).steps
        past = {one.child for one in record[job.parent.ref.step].history}
        now = record[job.parent.ref.step]
        assert job.job_id in past | {now.child} or now.status == "cancelled", (where, job)
        if now.child == job.job_id:
            assert now.status == job.status, (where, job, now)
    elif job.source_id is not None:
        assert by_source[job.source_type, job.source_id] == 1, (where, job)
    if job.retry_job is not None:
        assert store.get(job.retry_job).retry_of == (job.retry_of or job.job_id), (where, job)
        return
    told = {note.key for note in store.load(job.job_id).notes}
    for index, hook in enumerate(hooks.of_end(plan, job, job.status)):
        name = f"{event_of(job.status)}[{index}]"
        made = by_source["hook", f"{job.job_id}/{name}"]
        assert name in told, (where, job)
        assert made == ("none" not in str(hook.input)), (where, job, name)


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_cut_off_the_whole_family_ends_and_nothing_starts_twice(way):
    cut = Cut()
    house, runs = a_family(cut), Counter()
    begun = cut.calls
    a_day(house, runs)
    numbers = range(begun + 1, cut.calls + 1)
    _recover(house, runs)
    _check(house, "whole")
    assert len(numbers) > 150
    for number in numbers:
        cut, runs = Cut(number, way), Counter()
        house = a_family(cut)
        with suppress(CutOffError, StroemError):
            a_day(house, runs)
        _recover(house, runs)
        _check(house, (number, way))
        assert all(count == 1 for count in runs.values()), (number, way, runs)
