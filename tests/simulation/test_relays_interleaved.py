"""Connections of bare lines with several processes that push at once, and some that die.

Processes are greenlets that give way before each call of a port; a seed picks who goes on. Without
deaths every line comes exactly once, in order; with them, at most once.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from greenlet import GreenletExit, getcurrent

from chalicelib.domain.logs import LogLine, narrate
from chalicelib.engine.job_logs import append_lines
from chalicelib.engine.live import pushing
from chalicelib.engine.live.relay_lock import BUSY_FOR
from tests.fakes.streams import Streams
from tests.simulation.test_limits_interleaved import Callers
from tests.unit.live_house import Place

SEEDS = 150
LINES = 40
PORTS = ("jobs", "logs", "connections", "pushes")


class Stage(Place):
    """Two steps that write, one viewer of bare lines, and pushes that wait for each other."""

    def __init__(self, seed, *, may_die=False):
        super().__init__("a", "b")
        self.pushes.largest = 128 * 1024
        self.callers = Callers(seed)
        self.rng = self.callers.rng
        self.may_die = may_die
        self.job_id = self.house.job()
        self.works = [self.house.take(), self.house.take()]
        self.streams = Streams(self.engine)
        made = {name: self.callers.around(getattr(self.engine, name)) for name in PORTS}
        self.seen_by_processes = replace(self.engine, **made)
        self.deaths = 0

    def write(self, work, numbers):
        """Write these lines of a step in chunks, some of them without a word to anybody."""
        step = work.hold.ref.step
        while numbers:
            size = self.rng.randint(1, 5)
            part, numbers = numbers[:size], numbers[size:]
            self.clock.tick(self.rng.choice((0, 0.001, 0.3)))
            now = self.clock.now()
            lines = [LogLine(now, "stdout", step, f"{step} {number}") for number in part]
            is_live = self.rng.random() < 0.7
            append_lines(self.engine, work.hold.ref, 1, part[0], lines, live=is_live)
            self.callers.give_way()
            self.spawn_pushes()
        self.house.end(work)
        self.spawn_pushes()

    def spawn_pushes(self):
        changes = [
            *self.streams.connection("c1"),
            *self.streams.lines(self.job_id),
            *self.streams.job(self.job_id),
        ]
        for change in changes:
            for _ in range(self.rng.choice((1, 1, 2))):
                self.callers.spawn(self.push, change)

    def push(self, change):
        pushing.on_changes(self.seen_by_processes, [change], self.pause)
        for woken in self.streams.connection("c1"):
            self.callers.spawn(self.push, woken)

    def pause(self, _):
        self.callers.give_way()

    def killer(self):
        for _ in range(self.rng.randint(1, 3)):
            for _ in range(self.rng.randint(5, 60)):
                self.callers.give_way()
            others = [one for one in self.callers.alive if one is not getcurrent() and one]
            if others:
                self.rng.choice(others).throw(GreenletExit)
                self.deaths += 1

    def run(self, *, skip=False):
        """Let everything happen; return the lines that the viewer got."""
        before = self.rng.randint(0, LINES // 2)
        for work in self.works:
            self.write_first(work, before)
        self.lines(self.job_id, skip_backfill=skip)
        for work in self.works:
            self.callers.spawn(self.write, work, [*range(before + 1, LINES + 1)])
        self.spawn_pushes()
        if self.may_die:
            self.callers.spawn(self.killer)
        self.callers.run()
        return [
            json.loads(line) for text in self.pushes.frames("c1") for line in text.splitlines()
        ]

    def write_first(self, work, before):
        now = self.clock.now()
        step = work.hold.ref.step
        lines = [LogLine(now, "stdout", step, f"{step} {n}") for n in range(1, before + 1)]
        append_lines(self.engine, work.hold.ref, 1, 1, lines)
        self.before = before


def texts(told, step):
    return [one["line"] for one in told if one["step"] == step]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_line_comes_once_and_in_order_whoever_sends(seed):
    stage = Stage(seed)
    told = stage.run()
    for step in "ab":
        assert texts(told, step) == [f"{step} {number}" for number in range(1, LINES + 1)]
    state = stage.engine.jobs.load(stage.job_id)
    server = [one.line for one in narrate(stage.engine.plan_of(state.job).flow, state)]
    assert Counter(texts(told, "_server")) == Counter(server)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_who_skips_what_is_there_gets_all_that_comes(seed):
    stage = Stage(seed)
    told = stage.run(skip=True)
    for step in "ab":
        first = stage.before + 1
        assert texts(told, step) == [f"{step} {number}" for number in range(first, LINES + 1)]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_line_comes_twice_or_out_of_order_whoever_dies(seed):
    stage = Stage(seed, may_die=True)
    told = stage.run()
    # Whoever died while it sent keeps the others from it for a while, and one frame may be lost.
    stage.clock.tick(BUSY_FOR.total_seconds() + 1)
    stage.callers.hub = None
    stage.engine.jobs.pulse(stage.job_id, stage.clock.now())
    for change in stage.streams.job(stage.job_id):
        stage.push(change)
    sent = [json.loads(line) for text in stage.pushes.frames("c1") for line in text.splitlines()]
    assert len(sent) >= len(told)
    for step in "ab":
        numbers = [int(text.removeprefix(step)) for text in texts(sent, step)]
        assert numbers == sorted(set(numbers))
        assert not numbers or numbers[-1] == LINES or stage.deaths
