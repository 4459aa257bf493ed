"""Limits with many callers at once, and with callers that are cut off.

Callers are greenlets that give way before each call of a port; a seed picks who goes on. Without
faults, no sweep may be needed: whoever waits is let in by who leaves.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random

import pytest
from greenlet import getcurrent, greenlet

from chalicelib.domain.errors import ConflictError, StroemError
from chalicelib.domain.workflow import Priority
from chalicelib.engine import recovery, workers
from chalicelib.engine.advance import cancel
from chalicelib.engine.engine import Limits
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory_jobs import MemoryJobs
from chalicelib.store.memory_slots import MemorySlots
from tests.fakes.clock import FakeClock
from tests.fakes.flows import a_house
from tests.simulation.test_cut_off_anywhere import WAYS, Cut, CutOffError

WORKSPACE = """
actions: { act: { type: script, script: "true" } }
tasks:
  one: { concurrency: 1, flow: { a: { action: act }, b: { action: act, depends_on: [a] } } }
  two: { concurrency: { limit: 2, key: "{{ input.k }}" }, flow: { a: { action: act } } }
  free: { flow: { a: { action: act } } }
  last: { concurrency: { on_limit: cancel_previous }, flow: { a: { action: act } } }
  skip: { concurrency: { on_limit: skip }, flow: { a: { action: act } } }
"""
TASKS = ("one", "two", "free", "last", "skip")
LIMITS = {"task/shop/one": 1, "task/shop/last": 1, "task/shop/skip": 1, "workspace/shop": 3}
SEEDS = 300


class Callers:
    """Greenlets, of which a seeded generator picks who makes the next call."""

    def __init__(self, seed):
        self.rng = Random(seed)  # noqa: S311 - reproducible on purpose
        # With long ones, one does all that it has to do while another stands between two calls.
        self.bursts = (1, 1, 3, 20) if seed % 2 else (1,)
        self.alive = []
        self.hub = None

    def spawn(self, function, *args):
        self.alive.append(greenlet(lambda: function(*args), self.hub))

    def give_way(self):
        if self.hub is not None and getcurrent() is not self.hub:
            self.hub.switch()

    def run(self):
        self.hub = getcurrent()
        for one in self.alive:
            one.parent = self.hub
        while self.alive:
            one = self.rng.choice(self.alive)
            for _ in range(self.rng.choice(self.bursts)):
                if not one.dead:
                    one.switch()
            self.alive = [one for one in self.alive if not one.dead]

    def around(self, target):
        return _Port(target, self)


class _Port:
    def __init__(self, target, callers):
        self._target = target
        self._callers = callers

    def __getattr__(self, name):
        method = getattr(self._target, name)

        def call(*args, **kwargs):
            self._callers.give_way()
            return method(*args, **kwargs)

        return call


class Counting:
    """What runs at a time, by the keys of its limits: counted from what workers do."""

    def __init__(self, house):
        self._house = house
        self._running = Counter()

    def begin(self, job_id):
        for slot in self._house.engine.jobs.get(job_id).slots:
            self._running[slot.key] += 1
            assert self._running[slot.key] <= slot.limit, slot

    def end(self, job_id):
        for slot in self._house.engine.jobs.get(job_id).slots:
            self._running[slot.key] -= 1


def a_crowd(callers):
    clock = FakeClock()
    ports = {
        "jobs": callers.around(MemoryJobs()),
        "slots": callers.around(MemorySlots()),
        "queue": callers.around(MemoryQueue(clock)),
    }
    limits = Limits(workspace_jobs=3)
    return a_house(WORKSPACE, ports=ports | {"clock": clock}, limits=limits)


def a_client(house, rng, made):
    for _ in range(3):
        task = rng.choice(TASKS)
        given = {"input": {"k": rng.choice("xy")}} if task == "two" else {}
        job_id = house.job(task=task, priority=rng.choice(list(Priority)), **given)
        made.append(job_id)


def a_canceller(house, callers, state):
    """Cancel some job, at any moment of its life."""
    while state["clients"]:
        callers.give_way()
        found = [job for job in house.engine.jobs._target._jobs.values() if not job.admitted]
        if found and callers.rng.random() < 0.3:
            with suppress(ConflictError):
                cancel(house.engine, callers.rng.choice(found).job_id)


def a_worker(house, callers, counting, state):
    while True:
        state["idle"] += 1
        while (assignment := house.take()) is None:
            is_quiet = state["clients"] == 0 and state["idle"] == state["workers"]
            if is_quiet and not any(house.engine.queue._target._pools.values()):
                return
            callers.give_way()
        state["idle"] -= 1
        job_id = assignment.hold.ref.job_id
        counting.begin(job_id)
        callers.give_way()
        # It counts as ended before it is told: nobody may begin earlier than that.
        counting.end(job_id)
        with suppress(ConflictError):
            house.end(assignment)


@pytest.mark.parametrize("first", range(0, SEEDS, 100))
def test_with_many_callers_no_limit_is_broken_and_nobody_is_forgotten(first):
    for seed in range(first, first + 100):
        callers = Callers(seed)
        house = a_crowd(callers)
        counting, made = Counting(house), []
        state = {"clients": 3, "idle": 0, "workers": 3}

        def client(house=house, callers=callers, made=made, state=state):
            a_client(house, callers.rng, made)
            state["clients"] -= 1

        for _ in range(3):
            callers.spawn(client)
            callers.spawn(a_worker, house, callers, counting, state)
        callers.spawn(a_canceller, house, callers, state)
        callers.run()
        _check(house, f"seed {seed}")


def _check(house, where):
    for job in house.engine.jobs._target._jobs.values():
        assert job.status.is_terminal, (where, job)
        assert (job.due, job.after) == (None, frozenset()), (where, job)
        for slot in job.slots:
            line = house.engine.slots.line(slot.key, 100)
            assert line.holders == frozenset(), (where, slot, line)


def a_house_of(cut):
    clock = FakeClock()
    ports = {
        "jobs": cut.around(MemoryJobs()),
        "slots": cut.around(MemorySlots()),
        "queue": cut.around(MemoryQueue(clock)),
    }
    limits = Limits(workspace_jobs=2)
    return a_house(WORKSPACE, ports=ports | {"clock": clock}, limits=limits)


def a_day(house):
    """Jobs that wait for each other, of which one is cancelled and one replaced."""
    first, second, _ = (house.job(task="one") for _ in range(3))
    house.job(task="last")
    house.clock.tick(1)
    house.job(task="last")
    house.job(task="skip")
    for assignment in _taken(house, house.session):
        house.end(assignment)
        if house.status(first) == "completed":
            break
    cancel(house.engine, second)
    for assignment in _taken(house, house.session):
        house.end(assignment)


def _taken(house, session):
    """Claim what the messages speak of until none is left; some speak of what is over."""
    while found := house.engine.queue.receive("script", 0, 1):
        assignment = workers.take(house.engine, found[0], session, "w")
        if assignment is not None:
            yield assignment


def _recover(house):
    session = house.new_session()
    for _ in range(30):
        house.clock.tick(30)
        house.beat(session=session)
        recovery.sweep(house.engine)
        for assignment in _taken(house, session):
            _count(house)
            house.end(assignment)


def _count(house):
    for key, limit in LIMITS.items():
        assert len(house.engine.slots._target.line(key, 1).holders) <= limit


def _calls():
    cut = Cut()
    house = a_house_of(cut)
    begun = cut.calls
    a_day(house)
    return range(begun + 1, cut.calls + 1)


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_cut_off_every_job_gets_its_turn(way):
    numbers = _calls()
    assert len(numbers) > 100
    for number in numbers:
        house = a_house_of(Cut(number, way))
        with suppress(CutOffError, StroemError):
            a_day(house)
        _recover(house)
        _check(house, f"call {number}, {way}")
