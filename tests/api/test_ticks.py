"""The tick: one look when nothing runs, two when something does."""

from __future__ import annotations

import logging

from chalicelib.engine.recovery import Swept
from chalicelib.triggers.ticks import on_tick


def test_an_idle_tick_looks_once_and_does_not_wait(world):
    waits = []
    assert on_tick(world.engine, waits.append) == (Swept(),)
    assert waits == []


def test_a_tick_that_finds_work_looks_again_half_a_minute_later(world, caplog):
    world.execute()
    world.clock.tick(minutes=2)
    with caplog.at_level(logging.INFO, "stroem.tick"):
        passes = on_tick(world.engine, world.clock.tick)
    assert [one.looked for one in passes] == [1, 0]
    (record,) = [r for r in caplog.records if r.name == "stroem.tick"]
    assert [one["looked"] for one in record.passes] == [1, 0]


def test_a_worker_that_died_is_found_by_the_tick(world):
    job_id = world.execute("one")
    world.claim(world.worker())
    world.clock.tick(minutes=2)
    on_tick(world.engine, world.clock.tick)
    assert world.get(f"/api/jobs/{job_id}").json_body["status"] == "failed"
