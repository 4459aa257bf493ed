"""Retry of a whole task: a failed job is followed by another, until one does not fail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.workflow import Priority
from chalicelib.engine import advance, recovery
from chalicelib.engine.payloads import load_object
from tests.fakes.flows import FailingJobs, a_house, jobs_of, server_lines, work

SHOP = """
actions:
  tidy: { type: script, script: "true" }
  call: { type: task, task: ship }
tasks:
  ship:
    retry: { max_attempts: 3, delay: 60s, backoff: exponential }
    timeout: 1h
    on_success: [{ action: tidy }]
    on_error: [{ action: tidy }]
    on_cancel: [{ action: tidy }]
    input: { word: { secret: true, default: none }, n: { type: integer, default: 1 } }
    flow: { s: { action: tidy, input: { word: "{{ input.word }}" } } }
  outer: { flow: { c: { action: call } } }
  hooked: { on_success: [{ action: call }], flow: { s: { action: tidy } } }
"""


def failed(house, **given):
    job_id = house.job(**given)
    house.end(house.take(), error="no")
    return house.engine.jobs.get(job_id)


def next_of(house, job):
    return house.engine.jobs.get(house.engine.jobs.get(job.job_id).retry_job)


def test_a_failed_job_is_followed_by_another_with_the_same_input():
    house = a_house(SHOP)
    first = failed(house, input={"word": "hunter2", "n": 5}, priority=Priority.HIGH)
    second = next_of(house, first)
    assert (second.source_type, second.source_id) == ("retry", first.job_id)
    assert (second.retry_of, second.retry_attempt) == (first.job_id, 1)
    assert (second.priority, second.revision) == ("high", first.revision)
    assert second.start_at == house.clock.now() + timedelta(seconds=60)
    assert second.deadline == second.start_at + timedelta(hours=1)
    assert load_object(house.engine.blobs, second.input) == {"word": SECRET_MASK, "n": 5}
    assert house.take() is None
    house.clock.tick(60)
    assert house.take().rendered.input["word"] == "hunter2"


def test_the_log_says_when_and_by_which_job_the_task_is_tried_again():
    house = a_house(SHOP)
    first = failed(house)
    second = next_of(house, first)
    assert (
        f"Task 'ship' is tried again at 2026-11-21T12:01:00.000000Z by job {second.job_id} "
        "(attempt 2 of 3)"
    ) in server_lines(house, first.job_id)


def test_hooks_fire_after_the_last_try_only_and_attempts_count_all():
    house = a_house(SHOP)
    job = first = failed(house)
    for wait_s in (60, 120):
        assert jobs_of(house, "hook") == []
        job = next_of(house, job)
        assert job.retry_of == first.job_id
        house.clock.tick(wait_s)
        house.end(house.take(), error="no")
    assert house.engine.jobs.get(job.job_id).retry_job is None
    (hook,) = jobs_of(house, "hook")
    assert hook.source_id == f"{job.job_id}/on_error[0]"


def test_a_try_that_completes_ends_the_chain_and_fires_its_hooks():
    house = a_house(SHOP)
    second = next_of(house, failed(house))
    house.clock.tick(60)
    house.end(house.take())
    assert house.status(second.job_id) == "completed"
    (hook,) = jobs_of(house, "hook")
    assert hook.source_id == f"{second.job_id}/on_success[0]"


def test_a_cancelled_job_is_not_tried_again_also_while_it_waits_for_its_time():
    house = a_house(SHOP)
    second = next_of(house, failed(house))
    advance.cancel(house.engine, second.job_id)
    assert house.engine.jobs.get(second.job_id).retry_job is None
    house.clock.tick(90)
    assert house.take() is None
    assert [job.source_id for job in jobs_of(house, "hook")] == [f"{second.job_id}/on_cancel[0]"]


def test_a_sub_job_is_not_tried_again_as_a_task():
    house = a_house(SHOP)
    job_id = house.job(task="outer")
    house.end(house.take(), error="no")
    assert house.status(job_id) == "failed"
    assert jobs_of(house, "retry") == []


def test_what_a_hook_made_is_not_tried_again():
    house = a_house(SHOP)
    house.job(task="hooked")
    ran = work(house, lambda a: {"error": "no"} if a.task == "ship" else {})
    assert ran == [("hooked", "s"), ("ship", "s")]
    assert jobs_of(house, "retry") == []


@pytest.mark.parametrize("call", ["create", "after_done retry"])
def test_a_retry_that_a_crash_cut_off_is_made_once(call):
    jobs = FailingJobs()
    house = a_house(SHOP, ports={"jobs": jobs})
    house.job()
    assignment = house.take()
    jobs.breaks[call] = 1
    with pytest.raises(UnavailableError):
        house.end(assignment, error="no")
    house.clock.tick(minutes=3)
    recovery.sweep(house.engine)
    assert len(jobs_of(house, "retry")) == 1
    house.clock.tick(minutes=3)
    recovery.sweep(house.engine)
    work(house)
    assert [job.status.value for job in jobs_of(house, "retry")] == ["completed"]


def test_the_sweep_looks_at_the_next_try_when_its_time_has_come():
    house = a_house(SHOP.replace("60s", "20s"))
    second = next_of(house, failed(house))
    assert second.due == house.clock.now() + timedelta(seconds=30)
