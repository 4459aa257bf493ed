"""Sub-jobs: how a step of `type: task` begins, what it hands on, and how it ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.job import MAX_DEPTH
from chalicelib.domain.workflow import Priority
from chalicelib.engine import advance, recovery
from chalicelib.engine.engine import Limits
from tests.fakes.children import CLEAN, DEEP, LOOP, begun, child_of, clean, given_to
from tests.fakes.flows import a_house, jobs_of, server_lines, work

ENDLESS = """
actions:
  other: { type: task, task: other }
  again: { type: task, task: again }
tasks:
  again: { flow: { a: { action: other } } }
  other: { flow: { a: { action: again } } }
"""


def test_a_task_step_runs_as_a_job_of_its_own_and_hands_its_output_back():
    house = clean(given="room: hall")
    job_id = begun(house, priority=Priority.HIGH)
    child = child_of(house, job_id)
    assert (child.task, child.source_type, child.source_id) == (
        "cleanup",
        "task",
        f"{job_id}/call",
    )
    assert (child.depth, child.priority, child.revision) == (1, "high", "r1")
    assert given_to(house, child) == ({"room": "hall"}, "")
    assert house.record(job_id, "call").status == "running"
    house.end(house.take(), output={"rooms": 3})
    assert house.record(job_id, "call").output.inline == {"sweep": {"rooms": 3}}
    assert house.take().rendered.input["was"] == "3"
    assert house.status(child.job_id) == "completed"


def test_the_log_tells_of_the_sub_job():
    house = clean()
    job_id = begun(house)
    child = child_of(house, job_id).job_id
    assert f"Step 'call' attempt 1 started as job {child}" in server_lines(house, job_id)


def test_a_failed_sub_job_fails_its_step_and_says_what_failed_in_it():
    house = clean()
    job_id = begun(house)
    child = child_of(house, job_id).job_id
    house.end(house.take(), error="exit code 3")
    error = house.record(job_id, "call").error
    assert error == f"Child job {child} failed: Step 'sweep': exit code 3"
    assert house.shown(job_id) == {"test": "completed", "call": "failed", "last": "skipped"}
    assert house.status(job_id) == "failed"


def test_a_sub_job_that_was_cancelled_by_itself_cancels_its_step_only():
    house = clean()
    job_id = begun(house)
    child = child_of(house, job_id).job_id
    advance.cancel(house.engine, child)
    assert house.shown(job_id) == {"test": "completed", "call": "cancelled", "last": "skipped"}
    assert house.status(job_id) == "completed"
    assert house.record(job_id, "call").error == (
        f"Child job {child} was cancelled: Cancelled by request"
    )


@pytest.mark.parametrize(
    ("given", "fields", "error"),
    [
        ('n: "many"', "n: { type: integer }", "n: must be a whole number, not a string"),
        ("", "n: { type: integer, required: true }", "n: is required"),
        ('n: "{{ test.output.none }}"', "", "`test.output.none` is not defined"),
    ],
)
def test_input_that_does_not_fit_fails_the_step_and_makes_no_job(given, fields, error):
    house = clean(given=given, fields=fields)
    job_id = house.job()
    house.end(house.take(), output={})
    record = house.record(job_id, "call")
    assert record.status == "failed"
    assert error in record.error
    assert jobs_of(house, "task") == []
    assert house.status(job_id) == "failed"


def test_text_of_a_template_becomes_what_the_field_asks_for():
    fields = "n: { type: integer }, f: { type: number }, b: { type: boolean }, s: { type: string }"
    given = (
        'n: "{{ test.output.n }}", f: "{{ test.output.f }}", b: "{{ test.output.b }}",'
        ' s: "{{ test.output.n }}"'
    )
    house = clean(given=given, fields=fields)
    job_id = house.job()
    house.end(house.take(), output={"n": 7, "f": 1.5, "b": True})
    shown, _ = given_to(house, child_of(house, job_id))
    assert shown == {"n": 7, "f": 1.5, "b": True, "s": "7"}


def test_the_actions_own_defaults_come_before_the_tasks():
    text = CLEAN.replace(
        "task: cleanup }", "task: cleanup, input: { a: { type: integer, default: 1 } } }"
    )
    text = text.replace("KEYS", "").replace("INPUT", "")
    fields = "a: { type: integer, default: 9 }, b: { type: integer, default: 2 }"
    house = a_house(text.replace("FIELDS", fields))
    assert given_to(house, child_of(house, begun(house)))[0] == {"a": 1, "b": 2}


def test_a_flow_that_starts_itself_stops_ten_jobs_down():
    house = a_house(ENDLESS)
    job_id = house.job()
    assert house.status(job_id) == "failed"
    found = jobs_of(house, "task")
    assert [job.depth for job in found] == list(range(1, MAX_DEPTH + 1))
    assert {job.status.value for job in found} == {"failed"}
    deepest = house.record(found[-1].job_id, "a").error
    assert deepest.startswith("Sub-jobs are nested more than 10 deep: task 'again' at depth 10")


def test_an_attempt_after_a_failed_one_is_another_job():
    house = clean(keys="retry: { max_attempts: 2, delay: 5s }, ")
    job_id = begun(house)
    first = child_of(house, job_id).job_id
    house.end(house.take(), error="first")
    record = house.record(job_id, "call")
    assert (record.status, record.attempt, record.history[0].child) == ("ready", 2, first)
    assert house.engine.jobs.get(job_id).due - house.clock.now() == timedelta(seconds=30)
    assert house.take() is None
    house.clock.tick(60)
    recovery.sweep(house.engine)
    second = child_of(house, job_id).job_id
    assert second != first
    work(house, lambda a: {"output": {"rooms": 1}})
    assert house.status(job_id) == "completed"
    assert len(jobs_of(house, "task")) == 2


def test_each_instance_of_a_loop_has_its_sub_job():
    house = a_house(LOOP.replace("KEYS", ""))
    job_id = house.job()
    ran = work(house, lambda a: {"output": a.rendered.input["room"]})
    assert ran == [("cleanup", "sweep")] * 3
    assert house.status(job_id) == "completed"
    output = house.record(job_id, "each").output.inline
    assert output == [{"sweep": "red"}, {"sweep": "blue"}, {"sweep": "green"}]
    assert [job.source_id for job in jobs_of(house, "task")] == [
        f"{job_id}/each[{index}]" for index in range(3)
    ]


def test_a_sequential_loop_starts_one_sub_job_after_the_other():
    house = a_house(LOOP.replace("KEYS", "sequential: true"))
    job_id = house.job()
    seen = []

    def end(assignment):
        seen.append(len(jobs_of(house, "task")))
        return {"error": "no"} if len(seen) == 2 else {}

    work(house, end)
    assert seen == [1, 2]
    assert house.record(job_id, "each").error == "for_each loop failed: instances [1]"


def test_a_step_over_its_time_fails_and_its_sub_job_is_cancelled():
    house = clean(keys="timeout: 60s, ")
    job_id = begun(house)
    child = child_of(house, job_id).job_id
    at_work = house.take()
    for _ in range(9):
        house.clock.tick(20)
        house.beat(at_work)
    recovery.sweep(house.engine)
    assert house.record(job_id, "call").error == (
        f"Step timed out: its sub-job {child} did not end in time"
    )
    assert house.status(child) == "cancelled"
    house.end(at_work, cancelled=True)
    assert house.record(job_id, "call").status == "failed"
    assert house.engine.jobs.get(child).due is None


def test_a_child_that_ends_after_its_parents_deadline_is_not_tried_again():
    text = CLEAN.replace("  ship:\n", "  ship:\n    timeout: 60s\n").replace("INPUT", "")
    text = text.replace("KEYS", "retry: { max_attempts: 3 }, ").replace("FIELDS", "")
    house = a_house(text)
    job_id = begun(house)
    at_work = house.take()
    house.clock.move_to(house.clock.now() + timedelta(seconds=90))
    house.end(at_work, error="late")
    assert house.status(job_id) == "cancelled"
    assert house.record(job_id, "call").status == "cancelled"


def test_a_task_whose_sub_job_cannot_run_yet_is_refused_as_a_whole():
    text = DEEP.replace(
        'tidy: { type: script, script: "true" }', "tidy: { type: docker, image: a }"
    )
    house = a_house(text)
    with pytest.raises(Exception, match="step 'c' of task 'three' is of type docker"):
        house.job()


def test_a_sub_job_needs_no_place_under_a_limit_that_its_job_holds():
    house = clean(limits=Limits(workspace_jobs=1))
    job_id = begun(house)
    assert child_of(house, job_id).slots == ()
    work(house, lambda a: {"output": {"rooms": 1}})
    assert house.status(job_id) == "completed"
