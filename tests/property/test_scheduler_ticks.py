"""Ticks that are late, doubled, concurrent or killed: each nominal time has one job, by policy."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.schedule.missed import LATE
from chalicelib.engine import backfills, firing
from chalicelib.engine.backfills import BackfillRequest
from chalicelib.engine.due_triggers import fire_due
from chalicelib.engine.ports import JobFilter
from chalicelib.engine.schedules import AHEAD
from chalicelib.workspaces.publish import publish
from tests.api.world import a_tree, an_engine
from tests.fakes.clock import FakeClock
from tests.fakes.cutting import Cut, Died
from tests.oracle.calendar import Calendar, Zone, runs_on

TEXT = """
actions:
  say: {{type: script, script: "true"}}
tasks:
  ship:
    flow:
      only: {{action: say}}
triggers:
  it: {{type: scheduler, task: ship, cron: "{cron}", timezone: {zone}, on_missed: {policy}}}
"""
# Clocks change in the middle.
CASES = (
    ("*/20 * * * *", "Europe/Copenhagen", datetime(2026, 3, 28, 18, tzinfo=UTC)),
    ("*/30 1-3 * * *", "America/New_York", datetime(2026, 10, 31, 20, tzinfo=UTC)),
    ("7,37 * * * *", "Australia/Lord_Howe", datetime(2026, 4, 4, 6, tzinfo=UTC)),
    ("30 */13 * * * *", "UTC", datetime(2028, 2, 28, 20, tzinfo=UTC)),
)
HOURS = 14
THREE_HOURS_S = 3 * 3_600
_zones = {}


def expected(cron, zone, start, end):
    """Return the nominal times between two instants, by the calendar."""
    if zone not in _zones:
        _zones[zone] = Zone(zone, 2026, 2028)
    calendar = Calendar(cron)
    fitting = calendar.days(start.year, end.year)
    runs = {run for day in fitting for run in runs_on(calendar, _zones[zone], day)}
    return [
        datetime.fromtimestamp(run, tz=UTC)
        for run in sorted(runs)
        if start.timestamp() < run <= end.timestamp()
    ]


class Ticks:
    """A workspace with one schedule, and ticks of every kind over it."""

    def __init__(self, seed, case, policy):
        self.draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.cron, self.zone, self.start = case
        self.clock = FakeClock(self.start)
        self.engine = an_engine(self.clock)
        text = TEXT.format(cron=self.cron, zone=self.zone, policy=policy)
        assert publish(self.engine, "w", a_tree(text)).ok
        self.whole, self.begun = [], []
        self.end = self.start + timedelta(hours=HOURS)

    def run(self):
        while self.clock.now() < self.end:
            self.clock.tick(self._gap_s())
            self._tick()
        for _ in range(8):
            self.clock.tick(60)
            self._once(self.engine)

    def _gap_s(self):
        kind = self.draw.random()
        if kind < 0.05:
            return self.draw.uniform(300, THREE_HOURS_S)
        return self.draw.uniform(1, 120) if kind < 0.3 else 60

    def _tick(self):
        kind = self.draw.random()
        if kind < 0.6:
            self._once(self.engine)
        elif kind < 0.7:
            self._once(self.engine)
            self._once(self.engine)
        else:
            then = None if kind < 0.9 else lambda: self._once(self.engine)
            cut = Cut(self.draw.randint(1, 25), after=self.draw.random() < 0.5, then=then)
            with suppress(Died):
                self._once(cut.engine(self.engine))

    def _once(self, engine):
        now = self.clock.now()
        self.begun.append(now)
        fire_due(engine, now + AHEAD)
        self.whole.append(now)

    def jobs(self):
        found = self.engine.jobs.page(JobFilter(workspaces=("w",)), None, 100_000)
        return [job.job_id for job in found]

    def nominal(self):
        """Return the times that the schedule was looked at for, with the ids of their jobs."""
        times = expected(self.cron, self.zone, self.start, self.clock.now() + AHEAD)
        return {at: firing.job_id_of("w", "it", at) for at in times}


def in_time(ticks, at):
    """Say whether one of the ticks came when the time was near and not yet missed."""
    return any(at - AHEAD <= tick <= at + LATE for tick in ticks)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
@pytest.mark.parametrize("seed", range(12))
def test_all_makes_one_job_for_each_time_whatever_becomes_of_ticks(seed, case):
    ticks = Ticks(seed, case, "all")
    ticks.run()
    ids, jobs = set(ticks.nominal().values()), ticks.jobs()
    assert len(jobs) == len(set(jobs))
    assert set(jobs) == ids


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
@pytest.mark.parametrize("policy", ["skip", "one"])
@pytest.mark.parametrize("seed", range(6))
def test_others_make_what_is_not_missed_and_nothing_beside(seed, policy, case):
    ticks = Ticks(seed, case, policy)
    ticks.run()
    jobs, nominal = ticks.jobs(), ticks.nominal()
    assert len(jobs) == len(set(jobs))
    assert set(jobs) <= set(nominal.values())
    made = {at for at, job in nominal.items() if job in set(jobs)}
    assert {at for at in nominal if in_time(ticks.whole, at)} <= made
    missed = [at for at in nominal if not in_time(ticks.begun, at)]
    assert missed
    if policy == "skip":
        assert not made & set(missed)
    else:
        assert last_of_each_stretch(ticks, missed) <= made


def last_of_each_stretch(ticks, missed):
    """Return of the times between two ticks that were missed the last one."""
    found = {}
    for at in missed:
        after = min(tick for tick in ticks.whole if tick > at)
        found[after] = max(at, found.get(after, at))
    return set(found.values())


# killed at each call


def killed_everywhere(make, act, recover):
    """Kill `act` at each call of a port, before and after it, and recover; yield what is left."""
    for after in (False, True):
        at, has_died = 0, True
        while has_died:
            at += 1
            world, cut = make(), Cut(at, after=after)
            with suppress(Died):
                act(world, cut.engine(world.engine))
            has_died = cut.dead
            recover(world)
            yield world
    assert at > 10


def a_world(policy="all"):
    return Ticks(0, CASES[0], policy)


def recovered(world):
    for _ in range(6):
        world.clock.tick(60)
        fire_due(world.engine, world.clock.now() + AHEAD)
        backfills.fill_due(world.engine)


def test_a_tick_that_is_killed_anywhere_loses_and_doubles_nothing():
    def act(world, engine):
        world.clock.tick(hours=2)
        fire_due(engine, world.clock.now() + AHEAD)

    for world in killed_everywhere(a_world, act, recovered):
        assert sorted(world.jobs()) == sorted(world.nominal().values())


def test_a_publication_that_is_killed_anywhere_is_completed_by_the_tick():
    def act(world, engine):
        text = TEXT.format(cron="*/10 * * * *", zone="UTC", policy="all").replace("it:", "new:")
        publish(engine, "w", a_tree(text))

    for world in killed_everywhere(a_world, act, recovered):
        definition = firing.queries_registry.triggers(world.engine, "w")
        names = [record.name for record in world.engine.schedules.triggers("w")]
        assert names == [trigger.key for trigger in definition]


def test_a_backfill_that_is_killed_anywhere_makes_each_job_once():
    first = CASES[0][2] - timedelta(hours=1)

    def act(world, engine):
        world.clock.tick(10)
        request = BackfillRequest(
            workspace="w",
            trigger="it",
            first=first,
            last=CASES[0][2],
            max_parallel=2,
            by="me",
        )
        backfills.begin(engine, request)

    def recover(world):
        act(world, world.engine)
        recovered(world)

    times = expected(*CASES[0][:2], first - timedelta(seconds=1), CASES[0][2])
    ids = {firing.job_id_of("w", "it", at) for at in times}
    assert len(ids) == 4
    for world in killed_everywhere(a_world, act, recover):
        jobs = [job for job in world.jobs() if job in ids]
        assert sorted(jobs) == sorted(ids)
        records = world.engine.backfills.of_workspace("w", 10)
        assert {record.made + record.existing for record in records} == {4}
        assert sum(record.made for record in records) == 4
