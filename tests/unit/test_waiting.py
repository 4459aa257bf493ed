"""What a job waits for in words, and a step that no live worker can take."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.workflow import Priority
from chalicelib.engine import recovery, workers
from chalicelib.engine.engine import Limits
from chalicelib.engine.waiting import waits_for
from chalicelib.engine.workers import Hello
from tests.fakes.clock import NOON
from tests.fakes.flows import a_house, server_lines

TASKS = """
actions:
  act: { type: script, script: "true" }
  far: { type: script, script: "true", tags: [gpu] }
tasks:
  ship: { concurrency: 1, flow: { a: { action: act }, b: { action: far, depends_on: [a] } } }
  far: { flow: { b: { action: far } } }
  perhaps: { flow: { b: { action: far, when: "true" } } }
  each: { flow: { b: { action: far, for_each: [1, 2, 3] } } }
"""
NEEDS = "it needs script+gpu; live workers: w (script)"


def house_of(**given):
    return a_house(TASKS, limits=Limits(**given))


def waits(house, job_id):
    state = house.engine.jobs.load(job_id)
    return waits_for(house.engine, house.engine.plan_of(state.job), state)


def pass_time(house, minutes, *sessions):
    """Let the sweep look twice a minute, while the sessions live."""
    for _ in range(2 * minutes):
        house.clock.tick(30)
        for session in sessions:
            house.beat(session=session)
        recovery.sweep(house.engine)


def a_session(house, *tags, **given):
    hello = Hello(name="tagged", capabilities=("script",), tags=tags, **given)
    return workers.register(house.engine, hello).worker_id


# in words


def test_a_job_that_waits_for_a_place_says_how_many_are_before_it():
    house = house_of(workspace_jobs=2)
    first, second, third = house.job(), house.job(), house.job(priority=Priority.LOW)
    under = "a place under the limit of this task: 1 of 1 taken, "
    assert waits(house, first) == {}
    assert waits(house, second) == {"": f"{under}it is first in line"}
    assert waits(house, third) == {"": f"{under}1 before it"}
    house.job(task="far")
    assert waits(house, house.job(task="far")) == {
        "": "a place under the quota of this workspace: 2 of 2 taken, it is first in line"
    }


def test_a_paused_job_and_a_retry_say_what_they_wait_for():
    house = a_house(TASKS.replace("a: {", "a: { retry: { delay: 5m },"))
    job_id = house.job()
    house.end(house.take(), error="no")
    begins = "its time: attempt 2 begins at 2026-11-21T12:05:00.000000Z"
    assert waits(house, job_id) == {"a": begins}
    house.engine.jobs.pause(job_id, paused=True)
    assert waits(house, job_id) == {"": "somebody to let it go on: it is paused"}


def test_a_step_that_nobody_can_take_says_what_it_needs_and_who_is_there():
    house = house_of()
    job_id = house.job(task="far")
    house.clock.tick(29)
    assert waits(house, job_id) == {}
    house.clock.tick(1)
    assert waits(house, job_id) == {"b": f"a live worker that can take it: {NEEDS}"}
    house.clock.tick(60)
    assert waits(house, job_id)["b"].endswith("it needs script+gpu; no worker is live")
    a_session(house, "gpu", "eu")
    assert waits(house, job_id) == {}


# the sweep


def test_a_step_that_nobody_can_take_is_told_of_once_and_fails_in_time():
    house = house_of()
    job_id = house.job(task="far")
    pass_time(house, 1, house.session)
    told = f"Step 'b' waits for a live worker that can take it: {NEEDS}"
    assert server_lines(house, job_id)[1:] == [told]
    pass_time(house, 9, house.session)
    assert house.status(job_id) == "pending"
    pass_time(house, 1, house.session)
    assert house.status(job_id) == "failed"
    assert house.record(job_id, "b").error == (
        f"No active worker with required capability/tags to run this step: {NEEDS}"
    )
    assert server_lines(house, job_id).count(told) == 1


def test_time_that_a_fitting_worker_was_there_does_not_count():
    house = house_of()
    job_id = house.job(task="far")
    session = a_session(house, "gpu")
    pass_time(house, 20, house.session, session)
    assert house.status(job_id) == "pending"
    pass_time(house, 9, house.session)
    assert house.status(job_id) == "pending"
    pass_time(house, 3, house.session)
    assert house.status(job_id) == "failed"


def test_a_step_behind_another_waits_from_the_end_of_that():
    house = house_of()
    job_id = house.job()
    assignment = house.take()
    for _ in range(30):
        house.clock.tick(30)
        house.beat(assignment)
        recovery.sweep(house.engine)
    house.end(assignment)
    pass_time(house, 9, house.session)
    assert house.shown(job_id) == {"a": "completed", "b": "ready"}
    pass_time(house, 4, house.session)
    assert house.shown(job_id) == {"a": "completed", "b": "failed"}


def test_a_waiting_retry_fails_at_its_attempt_and_keeps_its_history():
    house = a_house(TASKS.replace("b: { action: far }", "b: { action: far, retry: {} }"))
    job_id = house.job(task="far")
    house.end(house.claim(job_id, "b"), error="exit code 1")
    pass_time(house, 13, house.session)
    record = house.record(job_id, "b")
    assert (record.status, record.attempt) == ("failed", 2)
    assert [past.error for past in record.history] == ["exit code 1"]


def test_instances_of_a_loop_fail_too():
    house = house_of()
    job_id = house.job(task="each")
    house.end(house.claim(job_id, "b[1]"))
    pass_time(house, 13, house.session)
    assert house.record(job_id, "b").error == "for_each loop failed: instances [0, 2]"
    assert house.status(job_id) == "failed"


def test_a_step_whose_condition_let_it_run_fails_too():
    house = house_of()
    job_id = house.job(task="perhaps")
    assert house.record(job_id, "b").status == "ready"
    pass_time(house, 13, house.session)
    assert house.shown(job_id) == {"b": "failed"}


@pytest.mark.parametrize("given", [{"unclaimed_s": None}, {"scaling_pools": {"script-gpu"}}])
def test_without_a_limit_or_where_workers_are_started_for_it_a_step_waits(given):
    house = house_of(**given)
    job_id = house.job(task="far")
    pass_time(house, 60, house.session)
    assert house.status(job_id) == "pending"
    assert bool(waits(house, job_id)) == ("unclaimed_s" in given)


def test_a_job_that_waits_for_its_place_fails_no_step():
    house = a_house(TASKS, limits=Limits(workspace_jobs=1))
    house.job()
    second = house.job(task="far")
    pass_time(house, 30, house.session)
    assert house.status(second) == "pending"


def test_an_exclusive_worker_takes_only_what_asks_for_its_tags():
    house = house_of()
    a_session(house, "gpu", exclusive=True)
    far = house.job(task="far")
    plain = house.job()
    house.clock.tick(seconds=61)
    hello = a_session(house, "gpu", "eu", exclusive=True)
    record = house.engine.registry.worker(hello)
    assert workers.pools_of(house.engine, record) == ()
    assert set(waits(house, plain)) == {"a"}
    assert set(waits(house, far)) == {"b"}


def test_a_worker_learns_of_a_pool_by_its_next_heartbeat():
    house = house_of()
    session = a_session(house, "gpu")
    assert workers.heartbeat(house.engine, session, []).pools == ("script",)
    job_id = house.job(task="far", priority=Priority.HIGH)
    assert workers.heartbeat(house.engine, session, []).pools == ("script-gpu_high", "script")
    (found,) = house.engine.queue.receive("script-gpu_high", 0, 1)
    assert found.message.ref.job_id == job_id
    assert house.clock.now() - NOON < timedelta(seconds=1)
