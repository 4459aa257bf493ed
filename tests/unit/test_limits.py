"""Limits: how many jobs run at a time, who goes first, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.job import SECRET_MASK, Slot
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.workflow import Priority
from chalicelib.engine import recovery
from chalicelib.engine.advance import advance, cancel
from chalicelib.engine.concurrency import waiter_of
from chalicelib.engine.engine import Limits
from tests.fakes.builders import a_job_end
from tests.fakes.flows import FailingJobs, a_house, server_lines, work

TASKS = """
actions: { act: { type: script, script: "true" } }
on_success: [{ action: act }]
tasks:
  deploy:
    concurrency: { RULE }
    input: { env: { type: string, default: dev }, token: { type: string, secret: true } }
    flow: { a: { action: act }, b: { action: act, depends_on: [a] } }
  other: { flow: { x: { action: act } } }
"""
KEY = "task/shop/deploy"


def limited(rule="limit: 1", **ports):
    return a_house(TASKS.replace("RULE", rule), **ports)


def statuses(house, *job_ids):
    return [house.status(job_id) for job_id in job_ids]


def holders(house, key=KEY):
    return house.engine.slots.line(key, 100).holders


def waiting(house, key=KEY):
    return [waiter.job_id for waiter in house.engine.slots.line(key, 100).waiters]


def end_one(house):
    """End the steps of the one job that runs."""
    for _ in range(2):
        house.end(house.take())


# in line


def test_a_job_over_the_limit_waits_and_begins_when_another_has_ended():
    house = limited()
    first, second, third = house.job(), house.job(), house.job()
    assert (holders(house), waiting(house)) == ({first}, [second, third])
    end_one(house)
    assert statuses(house, first, second, third) == ["completed", "pending", "pending"]
    assert (holders(house), waiting(house)) == ({second}, [third])
    assert [name for _, name in work(house)].count("a") == 2
    assert statuses(house, second, third) == ["completed", "completed"]
    assert (holders(house), waiting(house)) == (frozenset(), [])


def test_a_job_of_high_priority_goes_before_those_that_wait():
    house = limited()
    first, normal = house.job(), house.job()
    low, high = house.job(priority=Priority.LOW), house.job(priority=Priority.HIGH)
    assert waiting(house) == [high, normal, low]
    end_one(house)
    assert (house.engine.jobs.get(first).status, holders(house)) == ("completed", {high})


def test_each_value_of_the_key_has_a_limit_of_its_own():
    house = limited("key: '{{ input.env }}'")
    first, other, same = (house.job(input={"env": env}) for env in ("dev", "prod", "dev"))
    assert holders(house, KEY + "/dev") == {first}
    assert holders(house, KEY + "/prod") == {other}
    assert waiting(house, KEY + "/dev") == [same]


def test_a_long_value_is_told_by_its_digest_and_a_missing_one_shares_a_limit():
    house = limited("key: '{{ input.env }}{{ input.region }}'")
    (missing,) = house.engine.jobs.get(house.job()).slots
    (long,) = house.engine.jobs.get(house.job(input={"env": "e" * 200, "region": "r"})).slots
    assert missing == Slot(KEY + "/", 1)
    assert long.key.startswith(KEY + "/sha256:")
    assert len(long.key) < 120


def test_a_secret_is_in_no_key():
    house = limited("key: '{{ input.token }}'")
    (slot,) = house.engine.jobs.get(house.job(input={"token": "hunter2!"})).slots
    assert slot.key == f"{KEY}/{SECRET_MASK}"


def test_a_cancelled_job_that_waited_leaves_the_line_and_one_that_ran_gives_its_place_back():
    house = limited()
    first, second, third = house.job(), house.job(), house.job()
    cancel(house.engine, second)
    assert waiting(house) == [third]
    cancel(house.engine, first)
    assert (holders(house), waiting(house)) == ({third}, [])


def test_a_place_is_kept_until_the_last_step_of_a_cancelled_job_has_stopped():
    house = limited()
    first, second = house.job(), house.job()
    running = house.take()
    cancel(house.engine, first)
    assert (holders(house), waiting(house)) == ({first}, [second])
    house.end(running, cancelled=True)
    assert (holders(house), waiting(house)) == ({second}, [])


def test_a_paused_job_lets_others_pass_and_keeps_its_place_in_line():
    house = limited()
    first, second, third, fourth = (house.job() for _ in range(4))
    house.engine.jobs.pause(second, paused=True)
    end_one(house)
    assert (house.status(first), holders(house)) == ("completed", {third})
    house.engine.jobs.pause(second, paused=False)
    advance(house.engine, second)
    assert waiting(house) == [second, fourth]


def test_a_try_that_waits_for_its_time_takes_no_place():
    house = a_house(
        TASKS.replace("RULE", "limit: 1").replace(
            "  deploy:", "  deploy:\n    retry: { max_attempts: 2, delay: 10m }"
        )
    )
    house.job()
    second = house.job()
    house.end(house.take(), error="no")
    assert holders(house) == {second}
    assert waiting(house) == []


def test_a_raised_limit_lets_several_in_at_once():
    house = limited()
    jobs = [house.job() for _ in range(4)]
    for job_id in jobs[1:]:
        kept = house.engine.jobs._jobs[job_id]
        house.engine.jobs._jobs[job_id] = replace(kept, slots=(Slot(KEY, 5),))
    end_one(house)
    assert holders(house) == set(jobs[1:])


# skip


def test_a_job_over_a_limit_that_skips_ends_at_once_and_fires_no_hooks():
    house = limited("on_limit: skip")
    first, second = house.job(), house.job()
    assert statuses(house, first, second) == ["pending", "skipped"]
    assert house.shown(second) == {"a": "skipped", "b": "skipped"}
    job = house.engine.jobs.get(second)
    assert (job.reason, job.after, job.due) == (
        "The limit of one job of this task was reached",
        frozenset(),
        None,
    )
    assert server_lines(house, second)[1:] == [f"Job skipped: {job.reason}"]
    assert work(house) == [("deploy", "a"), ("deploy", "b"), ("_hook:act", "act")]
    assert house.status(house.job()) == "pending"


def test_a_place_that_was_lost_skips_nobody():
    house = limited("on_limit: skip")
    house.engine.slots.take(Slot(KEY, 1), "no-such-job")
    assert house.status(house.job()) == "pending"


# cancel_previous


def test_a_newer_job_takes_the_place_of_the_older_ones():
    house = limited("on_limit: cancel_previous")
    first = house.job()
    running = house.take()
    house.clock.tick(1)
    second = house.job()
    house.clock.tick(1)
    third = house.job()
    assert statuses(house, first, second, third) == ["cancelled", "cancelled", "pending"]
    assert house.engine.jobs.get(first).reason == f"Replaced by job {second}"
    assert (holders(house), waiting(house)) == ({first}, [third])
    house.end(running, cancelled=True)
    assert holders(house) == {third}


def test_of_several_places_only_the_oldest_job_gives_way():
    house = limited("limit: 2, on_limit: cancel_previous")
    jobs = []
    for _ in range(3):
        jobs.append(house.job())
        house.clock.tick(1)
    assert statuses(house, *jobs) == ["cancelled", "pending", "pending"]
    assert holders(house) == set(jobs[1:])


def test_an_older_job_that_is_looked_at_late_replaces_no_newer_one():
    house = limited("on_limit: cancel_previous", ports={"jobs": FailingJobs()})
    old = house.job()
    house.engine.slots.give_back(KEY, old)
    house.engine.jobs._jobs[old] = replace(house.engine.jobs._jobs[old], admitted=False)
    house.clock.tick(1)
    new = house.job()
    advance(house.engine, old)
    assert statuses(house, old, new) == ["cancelled", "pending"]
    assert holders(house) == {new}


def test_another_try_of_an_older_job_gives_way_to_a_newer_one():
    house = a_house(
        TASKS.replace("RULE", "on_limit: cancel_previous").replace(
            "  deploy:", "  deploy:\n    retry: { max_attempts: 2, delay: 1m }"
        )
    )
    first = house.job()
    house.clock.tick(1)
    house.end(house.take(), error="no")
    second = house.job()
    house.clock.tick(minutes=2)
    again = house.engine.jobs.get(first).retry_job
    advance(house.engine, again)
    assert statuses(house, again, second) == ["cancelled", "pending"]


# the workspace's quota


def test_a_workspace_runs_no_more_jobs_than_its_quota_and_hooks_do_not_count():
    house = limited("limit: 9", limits=Limits(workspace_jobs=2))
    jobs = [house.job(), house.job(task="other"), house.job(task="other")]
    assert holders(house, "workspace/shop") == set(jobs[:2])
    assert waiting(house, "workspace/shop") == [jobs[2]]
    assert len(work(house)) == 2 + 1 + 1 + 3
    assert statuses(house, *jobs) == ["completed"] * 3
    assert holders(house, "workspace/shop") == frozenset()


def test_many_jobs_of_one_task_that_wait_for_each_other_keep_no_other_task_back():
    house = limited("limit: 1", limits=Limits(workspace_jobs=2))
    many = [house.job() for _ in range(150)]
    other = house.job(task="other")
    assert holders(house, "workspace/shop") == {many[0], other}


# what a crash leaves


def test_a_place_of_a_job_that_is_gone_or_gave_everything_back_is_freed_by_who_is_first_in_line():
    house = limited("limit: 2")
    house.engine.slots.take(Slot(KEY, 2), "no-such-job")
    gone = house.job()
    house.end(house.claim(gone, "a"), error="no")
    house.engine.slots.take(Slot(KEY, 2), gone)
    second = house.job()
    assert holders(house) == {"no-such-job", gone}
    house.clock.tick(minutes=2)
    recovery.sweep(house.engine)
    assert holders(house) == {second}


def test_who_never_comes_again_is_passed_and_taken_out_of_the_line():
    house = limited()
    first = house.job()
    stale = replace(waiter_of(house.engine.jobs.get(first)), job_id="no-such-job")
    house.engine.slots.wait(KEY, replace(stale, since=stale.since - timedelta(hours=1)))
    second = house.job()
    end_one(house)
    assert (holders(house), waiting(house)) == ({second}, [])


def test_a_job_that_was_cut_off_before_its_turn_is_looked_at_by_who_comes_behind():
    house = limited()
    first, second = house.job(), house.job()
    # Its release was cut off just before it told the next one.
    house.engine.jobs.finish(first, _end(house, JobStatus.COMPLETED))
    house.engine.slots.give_back(KEY, first)
    third = house.job()
    assert (holders(house), waiting(house)) == ({second}, [third])


def _end(house, status):
    return a_job_end(status, at=house.clock.now())


@pytest.mark.parametrize("name", ["after_done release", "after_done archive_log"])
def test_a_release_that_was_cut_off_is_done_by_the_sweep(name):
    jobs = FailingJobs()
    house = limited(ports={"jobs": jobs})
    house.job()
    second = house.job()
    house.end(house.take())
    last = house.take()
    jobs.breaks[name] = 1
    with pytest.raises(Exception, match="does not answer"):
        house.end(last)
    house.clock.tick(minutes=3)
    recovery.sweep(house.engine)
    assert (holders(house), waiting(house)) == ({second}, [])
