"""Running a job again, pausing and resuming, cut off at each of their calls.

What is left behind is then set going by the sweep, a new worker, and whoever asks once more for
what was not done: the re-run completes, nothing runs in it that was taken over, and both jobs
know each other.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest

from chalicelib.domain.errors import StroemError
from chalicelib.domain.reruns import StartFrom
from chalicelib.engine import pausing, recovery, reruns
from chalicelib.engine.reruns import RerunRequest
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.clock import FakeClock
from tests.fakes.flows import a_house, jobs_of
from tests.simulation.test_cut_off_anywhere import WAYS, Cut, CutOffError

WORKSPACE = """
actions:
  act: { type: script, script: "true" }
  call: { type: task, task: low }
tasks:
  top:
    flow:
      before: { action: act }
      loop: { action: act, depends_on: [before], for_each: [0, 1, 2], max_parallel: 1 }
      subs: { action: call, depends_on: [before], for_each: [0, 1] }
      last: { action: act, depends_on: [loop, subs] }
  low: { flow: { one: { action: act }, two: { action: act, depends_on: [one] } } }
"""
BAD = {"loop[1]", "two"}
MINUTES_TO_END = 12


def the_house(cut):
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


def failed_job(house):
    """Run a job to its end, in which one instance and one step of each sub-job fail."""
    job_id = house.job()
    while assignment := house.take():
        error = "no" if assignment.hold.ref.step in BAD else None
        house.end(assignment, error=error, output={"text": "x" * 2000})
    house.clock.tick(60)
    return job_id


def a_day(house, old, runs):
    new = ask(house, old)
    assignment = house.take()
    if assignment is not None:
        runs[place(assignment)] += 1
    pausing.pause(house.engine, new)
    if assignment is not None:
        house.end(assignment)
    _work(house, house.session, runs)
    pausing.resume(house.engine, new)
    _work(house, house.session, runs)


def ask(house, old):
    request = RerunRequest(job_id=old, start=StartFrom.FAILED, idempotency_key="key")
    return reruns.rerun(house.engine, request).job_id


def place(assignment):
    ref = assignment.hold.ref
    return (ref.job_id, ref.step, assignment.hold.attempt)


def _work(house, session, runs):
    while assignment := house.take(session):
        runs[place(assignment)] += 1
        house.end(assignment)


def _recover(house, runs, *, old):
    session = house.new_session()
    new = ask(house, old)
    with suppress(StroemError):
        pausing.resume(house.engine, new)
    for _ in range(2 * MINUTES_TO_END):
        house.clock.tick(30)
        house.beat(session=session)
        recovery.sweep(house.engine)
        _work(house, session, runs)
    return new


def _check(house, old, new, where):
    store = house.engine.jobs._target
    assert store.get(old).reruns == {new}, where
    for job in store._jobs.values():
        assert job.status.is_terminal, (where, job)
        assert (job.due, job.after, job.paused) == (None, frozenset(), False), (where, job)
    children = [job for job in store._jobs.values() if job.source_job and job.parent]
    assert [job.restart_from for job in children] == ["failed", "failed"], where
    assert len({job.source_job for job in children}) == 2, where
    for child in children:
        assert store.get(child.source_job).reruns == {child.job_id}, where
    assert len(jobs_of(house, "rerun")) == 1, where


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_cut_off_a_re_run_ends_and_runs_only_what_had_failed(way):
    total = None
    number = 0
    while total is None or number <= total:
        cut, runs = Cut(), Counter()
        house = the_house(cut)
        old = failed_job(house)
        begun = cut.calls
        if total is None:
            a_day(house, old, runs)
            total, number = cut.calls - begun, 0
        else:
            cut.at, cut.way = begun + number, way
            with suppress(CutOffError, StroemError):
                a_day(house, old, runs)
            cut.at = None
        new = _recover(house, runs, old=old)
        where = (number, way)
        _check(house, old, new, where)
        state = house.engine.jobs.load(new)
        # An attempt that a worker had when all was cut off is lost with it.
        lost = [record for record in state.steps.values() if record.status == "failed"]
        if not lost:
            assert {step for _, step, _ in runs} == {"loop[1]", "two", "last"}, (where, runs)
        assert all(count == 1 for count in runs.values()), (where, runs)
        number += 1
    assert total > 60
