"""Sub-jobs that are cancelled with their job, and those that a crash cut off."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.engine import advance, recovery
from tests.fakes.children import DEEP, LOOP, begun, child_of, clean
from tests.fakes.flows import FailingJobs, a_house, jobs_of, server_lines, work


def test_cancelling_reaches_down_three_levels_and_comes_up_when_all_have_ended():
    house = a_house(DEEP)
    job_id = house.job()
    at_work = house.take()
    two = child_of(house, job_id, "a")
    three = child_of(house, two.job_id, "b")
    advance.cancel(house.engine, job_id)
    ids = (job_id, two.job_id, three.job_id)
    assert {house.status(one) for one in ids} == {"cancelled"}
    assert house.record(job_id, "a").status == "running"
    house.end(at_work, cancelled=True)
    assert house.shown(three.job_id) == {"c": "cancelled", "d": "cancelled"}
    assert house.record(two.job_id, "b").status == "cancelled"
    assert house.record(job_id, "a").status == "cancelled"
    assert [house.engine.jobs.get(one).due for one in ids] == [None] * 3


def test_killing_reaches_the_sub_jobs_also_after_they_were_cancelled():
    house = a_house(DEEP)
    job_id = house.job()
    house.take()
    three = child_of(house, child_of(house, job_id, "a").job_id, "b").job_id
    advance.cancel(house.engine, job_id)
    assert not house.engine.jobs.get(three).killed
    advance.cancel(house.engine, job_id, killed=True)
    assert house.engine.jobs.get(three).killed


def test_cancelling_stops_the_sub_jobs_of_a_loop():
    house = a_house(LOOP.replace("KEYS", ""))
    job_id = house.job()
    at_work = house.take()
    advance.cancel(house.engine, job_id)
    assert {job.status.value for job in jobs_of(house, "task")} == {"cancelled"}
    house.end(at_work, cancelled=True)
    assert house.shown(job_id) == {"each": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


def test_a_sub_job_that_a_crash_kept_from_being_made_is_made_by_the_sweep():
    jobs = FailingJobs()
    house = clean(ports={"jobs": jobs})
    job_id = house.job()
    jobs.breaks["create"] = 1
    with pytest.raises(UnavailableError):
        house.end(house.take())
    assert jobs_of(house, "task") == []
    house.clock.tick(60)
    recovery.sweep(house.engine)
    assert [job.job_id for job in jobs_of(house, "task")] == [house.record(job_id, "call").child]
    work(house, lambda a: {"output": {"rooms": 1}})
    assert house.status(job_id) == "completed"


@pytest.mark.parametrize("text", [DEEP, LOOP.replace("KEYS", "")])
def test_a_sub_job_that_was_never_made_is_kept_from_being_made(text):
    jobs = FailingJobs()
    house = a_house(text, ports={"jobs": jobs})
    jobs.breaks["create"] = 1
    job_id = house.job()
    assert jobs_of(house, "task") == []
    advance.cancel(house.engine, job_id)
    recovery.look(house.engine, job_id)
    assert set(house.shown(job_id).values()) == {"cancelled"}
    assert house.engine.jobs.get(job_id).due is None
    (child,) = jobs_of(house, "task")
    assert (child.status, child.due, child.after) == ("cancelled", None, frozenset())


@pytest.mark.parametrize("call", ["end_step call", "after_done parent"])
def test_an_end_that_a_crash_kept_from_the_parent_reaches_it_by_the_sweep(call):
    jobs = FailingJobs()
    house = clean(ports={"jobs": jobs})
    job_id = begun(house)
    assignment = house.take()
    jobs.breaks[call] = 1
    with pytest.raises(UnavailableError):
        house.end(assignment, output={"rooms": 1})
    house.clock.tick(minutes=3)
    recovery.sweep(house.engine)
    assert house.record(job_id, "call").status == "completed"
    work(house)
    assert house.status(job_id) == "completed"


def test_a_sub_job_that_was_kept_from_being_made_has_ended_steps_and_a_log():
    house = a_house(
        "actions: { act: { type: script, script: 'true' }, low: { type: task, task: low } }\n"
        "tasks: { top: { flow: { s: { action: low } } }, low: { flow: { x: { action: act } } } }",
        ports={"jobs": (jobs := FailingJobs())},
    )
    jobs.breaks = {"create": 1}
    job_id = house.job()
    advance.cancel(house.engine, job_id)
    child = child_of(house, job_id, "s")
    assert (child.status, child.due, child.after) == ("cancelled", None, frozenset())
    assert house.shown(child.job_id) == {"x": "cancelled"}
    assert "was cancelled before" in server_lines(house, child.job_id)[-1]
    assert house.shown(job_id) == {"s": "cancelled"}
