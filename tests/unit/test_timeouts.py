"""Timeouts of steps and of whole jobs: which one holds, from when on, and what it ends."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.job import AfterAction
from chalicelib.domain.workflow import Retry
from chalicelib.engine import advance, recovery
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.engine import Limits
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.payloads import load_object
from chalicelib.store.memory import MemoryBlobs
from tests.fakes.flows import FailingJobs, a_house, jobs_of, server_lines, work
from tests.fakes.house import House

DEFAULTS = Limits(default_step_timeout_s=300, default_job_timeout_s=3600)
FAMILY = """
actions:
  do: { type: script, script: "true", input: { word: {} } }
  down: { type: task, task: below }
tasks:
  above:
    TIMEOUT
    retry: { max_attempts: 3, delay: 1s }
    on_cancel: [{ action: do, input: { word: "{{ hook.error_message }}" } }]
    on_error: [{ action: do }]
    flow:
      call: { action: down }
      last: { action: do, depends_on: [call] }
  below: { OWN flow: { work: { action: do } } }
"""


def family(timeout="timeout: 60s", own="", **given):
    return a_house(FAMILY.replace("TIMEOUT", timeout).replace("OWN", own), **given)


def seconds_of(house, job_id):
    job = house.engine.jobs.get(job_id)
    return (job.deadline - job.created_at).total_seconds()


def pass_time(house, seconds, *assignments):
    """Let time pass in which the worker lives and says that it runs these."""
    for _ in range(seconds // 20):
        house.clock.tick(20)
        house.beat(*assignments)
    house.clock.tick(seconds % 20)
    recovery.sweep(house.engine)


# Which one holds


@pytest.mark.parametrize(("own", "holds"), [(None, 300), (60, 60), (900, 900)])
def test_a_steps_own_timeout_wins_over_the_default_whichever_is_longer(own, holds):
    house = House("a", limits=DEFAULTS, a={"timeout_s": own})
    house.job()
    assert house.take().timeout_s == holds


def test_without_any_timeout_a_step_and_a_job_have_none():
    house = House("a")
    job_id = house.job()
    assert house.take().timeout_s is None
    assert house.engine.jobs.get(job_id).deadline is None


@pytest.mark.parametrize(
    ("own", "holds"), [("", 3600), ("timeout: 60s", 60), ("timeout: 2h", 7200)]
)
def test_a_tasks_own_timeout_wins_over_the_default_whichever_is_longer(own, holds):
    house = family(own, limits=DEFAULTS)
    assert seconds_of(house, house.job()) == holds


def test_a_sub_job_has_its_own_tasks_timeout_or_the_default():
    house = family(limits=DEFAULTS)
    assert seconds_of(house, house.record(house.job(), "call").child) == 3600
    house = family(own="timeout: 30s,", limits=DEFAULTS)
    assert seconds_of(house, house.record(house.job(), "call").child) == 30


def test_each_instance_of_a_loop_has_the_steps_timeout():
    house = House("a", limits=DEFAULTS, a={"for_each": [1, 2], "timeout_s": 60})
    house.job()
    assert [house.take().timeout_s for _ in range(2)] == [60, 60]


def test_each_attempt_has_the_timeout_anew():
    house = House("a", a={"timeout_s": 60, "retry": Retry(max_attempts=2, delay_s=5)})
    job_id = house.job()
    first = house.take()
    pass_time(house, 121, first)
    assert (house.record(job_id, "a").status, house.record(job_id, "a").attempt) == ("ready", 2)
    house.clock.tick(5)
    second = house.take()
    assert second.timeout_s == 60
    pass_time(house, 119, second)
    assert house.record(job_id, "a").status == "running"
    pass_time(house, 32, second)
    assert house.record(job_id, "a").status == "failed"


def test_a_step_is_given_no_more_time_than_its_job_has_left():
    house = family("timeout: 100s")
    job_id = house.job()
    house.end(house.take())
    house.clock.tick(70)
    assert house.claim(job_id, "last").timeout_s == 30


# What a job's deadline ends


def test_a_job_over_its_time_is_cancelled_and_says_so():
    house = House("a", limits=Limits(default_job_timeout_s=120))
    job_id = house.job()
    pass_time(house, 121)
    job = house.engine.jobs.get(job_id)
    assert (job.status, job.reason) == ("cancelled", "Job timed out after 120s")
    assert house.shown(job_id) == {"a": "cancelled"}
    assert server_lines(house, job_id)[-1] == "Job cancelled: Job timed out after 120s"
    assert house.take() is None


def test_the_sweep_comes_when_the_deadline_does():
    house = House("a", limits=Limits(default_job_timeout_s=100))
    job_id = house.job()
    house.clock.tick(61)
    recovery.sweep(house.engine)
    job = house.engine.jobs.get(job_id)
    assert job.due <= job.deadline + timedelta(seconds=30)


def test_what_runs_is_stopped_and_its_late_end_changes_nothing_more():
    house = House("a", "b<a", limits=Limits(default_job_timeout_s=60))
    job_id = house.job()
    assignment = house.take()
    pass_time(house, 61, assignment)
    assert house.status(job_id) == "cancelled"
    assert house.beat(assignment).cancelled == (house.ref(job_id, "a"),)
    house.end(assignment, output={"n": 1})
    assert house.shown(job_id) == {"a": "completed", "b": "cancelled"}
    assert house.status(job_id) == "cancelled"
    assert house.engine.jobs.get(job_id).due is None


def test_an_end_that_comes_after_the_deadline_begins_nothing_though_no_sweep_was_there():
    house = House("a", "b<a", limits=Limits(default_job_timeout_s=60))
    job_id = house.job()
    assignment = house.take()
    house.clock.tick(61)
    house.end(assignment)
    assert house.status(job_id) == "cancelled"
    assert house.shown(job_id) == {"a": "completed", "b": "cancelled"}
    assert house.queued() == []


def test_a_job_over_its_time_takes_its_sub_jobs_with_it():
    house = family()
    job_id = house.job()
    assignment = house.take()
    pass_time(house, 61, assignment)
    child = house.record(job_id, "call").child
    assert {house.status(job_id), house.status(child)} == {"cancelled"}
    house.end(assignment, cancelled=True)
    assert house.shown(job_id) == {"call": "cancelled", "last": "cancelled"}


def test_a_job_over_its_time_fires_on_cancel_and_is_not_tried_again():
    house = family()
    job_id = house.job()
    assignment = house.take()
    pass_time(house, 61, assignment)
    house.end(assignment, cancelled=True)
    assert house.engine.jobs.get(job_id).retry_job is None
    (hook,) = jobs_of(house, "hook")
    given = load_object(house.engine.blobs, hook.input)
    assert (hook.source_id, given["word"]) == (f"{job_id}/on_cancel[0]", "Job timed out after 60s")


def test_a_sub_job_over_its_own_time_cancels_its_step_only():
    house = family("timeout: 10m", own="timeout: 60s,")
    job_id = house.job()
    assignment = house.take()
    pass_time(house, 61, assignment)
    house.end(assignment, cancelled=True)
    assert house.shown(job_id) == {"call": "cancelled", "last": "skipped"}
    assert "Job timed out after 60s" in house.record(job_id, "call").error
    assert house.status(job_id) == "completed"


def test_what_a_crash_cut_off_behind_a_deadline_is_done_by_a_later_look():
    jobs = FailingJobs()
    house = family(ports={"jobs": jobs})
    job_id = house.job()
    assignment = house.take()
    house.clock.tick(61)
    jobs.breaks["after_done stop_steps"] = 1
    recovery.look(house.engine, job_id)
    with pytest.raises(UnavailableError):
        house.end(assignment, cancelled=True)
    assert house.engine.jobs.get(job_id).due is not None
    pass_time(house, 360)
    work(house)
    assert [job.source_id for job in jobs_of(house, "hook")] == [f"{job_id}/on_cancel[0]"]
    assert house.engine.jobs.get(job_id).due is None


WAITING = """
actions:
  do: { type: script, script: "true" }
  ask: { type: approval, message: "Go on?" }
tasks:
  t: { timeout: 60s, concurrency: 1, flow: { KEY: { action: ACTION, for_each: ITEMS } } }
"""


def waiting(action, items="[1]"):
    text = WAITING.replace("KEY", "s").replace("ACTION", action)
    return a_house(text.replace(", for_each: ITEMS", f", for_each: {items}" if items else ""))


@pytest.mark.parametrize(("action", "items"), [("ask", ""), ("ask", "[1, 2]"), ("do", "[1, 2]")])
def test_a_job_that_waits_for_an_answer_or_for_a_worker_is_over_its_time_all_the_same(
    action, items
):
    house = waiting(action, items)
    job_id = house.job()
    pass_time(house, 61)
    assert house.status(job_id) == "cancelled"
    assert house.shown(job_id) == {"s": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


def test_a_job_that_waits_for_its_place_is_over_its_time_and_leaves_the_line():
    house = waiting("ask")
    first = house.job()
    house.clock.tick(30)
    second, third = house.job(), house.job()
    house.engine.jobs.pause(third, paused=True)
    pass_time(house, 31)
    assert [house.status(one) for one in (first, second)] == ["cancelled", "running"]
    pass_time(house, 60)
    assert [house.status(one) for one in (second, third)] == ["cancelled", "cancelled"]
    fourth = house.job()
    assert house.shown(fourth) == {"s": "running"}


class DeadBlobs(MemoryBlobs):
    """An object store that keeps no archive while it is down."""

    is_down = False

    def put_stream(self, *args, **given):
        if self.is_down:
            raise UnavailableError("the object store did not answer")
        return super().put_stream(*args, **given)


def test_a_look_that_was_too_slow_archives_what_stands_and_not_what_it_saw():
    blobs = DeadBlobs()
    house = family(ports={"blobs": blobs})
    job_id = house.job()
    seen = house.engine.jobs.load(job_id)
    blobs.is_down = True
    house.clock.tick(60)
    with suppress(UnavailableError):
        recovery.look(house.engine, job_id)
    blobs.is_down = False
    assert house.engine.jobs.get(job_id).after == {AfterAction.ARCHIVE_LOG}
    advance.act(house.engine, Agenda(), seen)
    assert house.engine.jobs.get(job_id).after == set()
    told = [json.loads(line)["line"] for line in read_log(house.engine, job_id, "_server")]
    assert [line for line in told if line.startswith("Step 'call' cancelled")]
