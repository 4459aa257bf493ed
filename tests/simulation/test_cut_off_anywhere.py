"""Each use case cut off at each of its calls: before it, after it, and with its reply lost.

What is left behind is then set going by the sweep and a new worker alone.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest

from chalicelib.domain.errors import StroemError, UnavailableError
from chalicelib.domain.workflow import Retry
from chalicelib.engine import recovery
from chalicelib.engine.advance import cancel
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.clock import FakeClock
from tests.fakes.house import House

WAYS = ("before", "after", "lost", "refused")
MINUTES_TO_END = 10


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


def a_house(cut):
    clock = FakeClock()
    ports = {
        "jobs": MemoryJobs(),
        "registry": MemoryRegistry(),
        "logs": MemoryLogs(),
        "blobs": MemoryBlobs(),
        "queue": MemoryQueue(clock),
    }
    whole = {name: cut.around(port) for name, port in ports.items()}
    given = {"b": {"retry": Retry(max_attempts=2, delay_s=5)}}
    return House("a", "b<a", "c<a", "d<b,c!", ports=whole | {"clock": clock}, **given)


def a_day(house, runs):
    """A job whose second step fails once, and another that is cancelled."""
    first, second = house.job(), house.job()
    failed = False
    taken = 0
    while taken < 4 and (assignment := house.take()):
        taken += 1
        runs[_place(assignment)] += 1
        house.beat(assignment)
        if assignment.hold.ref.step == "b" and not failed:
            failed = True
            house.end(assignment, error="exit code 1")
        else:
            house.end(assignment, output={"text": "x" * 2000})
    cancel(house.engine, second)
    house.clock.tick(6)
    while assignment := house.take():
        runs[_place(assignment)] += 1
        house.end(assignment)
    return first


def _place(assignment):
    ref = assignment.hold.ref
    return (ref.job_id, ref.step, assignment.hold.attempt)


def _recover(house, runs):
    """Let a sweep and a new worker go on for ten minutes."""
    session = house.new_session()
    for _ in range(2 * MINUTES_TO_END):
        house.clock.tick(30)
        house.beat(session=session)
        recovery.sweep(house.engine)
        while assignment := house.take(session):
            runs[_place(assignment)] += 1
            house.end(assignment)


def _calls():
    cut = Cut()
    house = a_house(cut)
    begun = cut.calls
    a_day(house, Counter())
    return range(begun + 1, cut.calls + 1)


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_cut_off_every_job_ends_and_no_attempt_runs_twice(way):
    numbers = _calls()
    assert len(numbers) > 50
    for number in numbers:
        cut, runs = Cut(number, way), Counter()
        house = a_house(cut)
        with suppress(CutOffError, StroemError):
            a_day(house, runs)
        _recover(house, runs)
        store = house.engine.jobs._target
        for job in store._jobs.values():
            where = f"call {number}, {way}: {job}"
            assert job.status.is_terminal, where
            assert (job.due, job.after) == (None, frozenset()), where
            assert all(r.status.is_terminal for r in store.load(job.job_id).steps.values()), where
        assert all(count == 1 for count in runs.values()), (number, way, runs)
