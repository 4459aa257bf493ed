"""Where two features meet: cancelling what waits to be tried again, approvals in sub-jobs …"""

from __future__ import annotations

import pytest

from chalicelib.domain.approvals import Answer
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.workflow import Retry
from chalicelib.engine import advance, answers, pausing, recovery
from chalicelib.engine.payloads import load_object, load_payload
from tests.fakes.flows import a_house, jobs_of, work
from tests.fakes.house import House

TWICE = Retry(max_attempts=2, delay_s=60)
GATED = """
on_error: [{ action: tell, input: { text: "{{ hook.error_message }}" } }]
actions:
  do: { type: script, script: "true" }
  tell: { type: script, script: "true", input: { text: {} } }
  down: { type: task, task: below, RETRY }
  ask: { type: approval, message: "Go on?" }
tasks:
  above: { flow: { call: { action: down }, last: { action: do, depends_on: [call] } } }
  below: { flow: { work: { action: do }, gate: { action: ask, depends_on: [work] } } }
"""


def gated(retry=""):
    return a_house(GATED.replace(", RETRY", retry))


def suspended(house):
    """Run a job until its sub-job waits for an answer; return both ids."""
    job_id = house.job()
    house.end(house.take())
    child = house.record(job_id, "call").child
    assert house.shown(child)["gate"] == "suspended"
    return job_id, child


# Cancelling what waits to be tried again


def nothing_comes(house, job_id):
    # A message of the next attempt may be under way: it finds nothing to claim.
    house.clock.tick(120)
    recovery.look(house.engine, job_id)
    assert house.take() is None
    assert house.engine.jobs.get(job_id).due is None


def test_a_step_that_waits_for_its_retry_is_cancelled_and_not_tried_again():
    house = House("a", "b<a", a={"retry": TWICE})
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    advance.cancel(house.engine, job_id)
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    assert [past.error for past in house.record(job_id, "a").history] == ["exit code 1"]
    nothing_comes(house, job_id)


def test_an_instance_that_waits_for_its_retry_is_cancelled_with_its_loop():
    house = House("a", "b<a", a={"for_each": [1, 2], "retry": TWICE})
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    house.end(house.take())
    advance.cancel(house.engine, job_id)
    found = house.engine.jobs.load_instances(job_id, "a", 0, 1)
    assert [found[index].status for index in range(2)] == ["cancelled", "completed"]
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    nothing_comes(house, job_id)


def test_a_step_whose_next_sub_job_waits_for_its_time_starts_none_once_it_is_cancelled():
    house = gated(", retry: { max_attempts: 2, delay: 60s }")
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    advance.cancel(house.engine, job_id)
    nothing_comes(house, job_id)
    assert house.shown(job_id) == {"call": "cancelled", "last": "cancelled"}
    assert len(jobs_of(house, "task")) == 1


# Failures that are tolerated


def test_a_step_that_failed_at_every_attempt_and_is_tolerated_lets_its_job_complete():
    house = House("a!", "b", a={"retry": TWICE})
    job_id = house.job()
    house.end(house.take(), error="first")
    house.end(house.take())
    house.clock.tick(60)
    house.end(house.take(), error="second")
    assert house.shown(job_id) == {"a": "failed", "b": "completed"}
    assert house.status(job_id) == "completed"


# Sub-jobs


def test_the_lost_worker_of_a_sub_job_fails_the_step_of_its_parent_and_the_hooks_fire():
    house = gated()
    job_id = house.job()
    assert house.take() is not None
    house.clock.tick(61)
    recovery.sweep(house.engine)
    assert house.shown(job_id) == {"call": "failed", "last": "skipped"}
    assert house.status(job_id) == "failed"
    (hook,) = jobs_of(house, "hook")
    assert "Worker lost" in load_object(house.engine.blobs, hook.input)["text"]


@pytest.mark.parametrize(
    ("approved", "call", "last", "status"),
    [(True, "completed", "completed", "completed"), (False, "failed", "skipped", "failed")],
)
def test_an_approval_in_a_sub_job_is_answered_there_and_its_parent_goes_on(
    approved, call, last, status
):
    house = gated()
    job_id, child = suspended(house)
    assert house.shown(job_id) == {"call": "running", "last": "pending"}
    answers.answer(house.engine, child, "gate", Answer(approved=approved, by="ann"))
    work(house)
    assert house.shown(job_id) == {"call": call, "last": last}
    assert house.status(job_id) == status


def test_cancelling_a_job_ends_the_approval_that_its_sub_job_waits_for():
    house = gated()
    job_id, child = suspended(house)
    advance.cancel(house.engine, job_id)
    assert house.shown(child) == {"work": "completed", "gate": "cancelled"}
    assert house.shown(job_id) == {"call": "cancelled", "last": "cancelled"}
    assert [house.engine.jobs.get(one).due for one in (job_id, child)] == [None, None]


def test_what_the_engine_runs_waits_for_no_worker():
    house = gated()
    job_id, child = suspended(house)
    for _ in range(60):
        house.clock.tick(60)
        recovery.sweep(house.engine)
    assert house.shown(child)["gate"] == "suspended"
    assert house.shown(job_id)["call"] == "running"


SECRETS = """
secrets: { KEYS: [wxyz-1234, abcd-9876] }
actions:
  do: { type: script, script: "true" }
  down: { type: task, task: below }
tasks:
  above:
    input: { hosts: { secret: true, default: none }, shops: { default: "red,blue" } }
    flow:
      call:
        action: down
        for_each: LIST
        input: { room: "{{ each.item WORK }}", }
  below:
    input: { room: {} }
    flow: { work: { action: do, input: { room: "{{ input.room }}" } } }
"""
SPLIT = """"{{ input.NAME | split(pat=',') | json_encode() }}\""""


def rooms(items, work=""):
    """Return what the sub-jobs' tables show of their input, and which room the workers get."""
    house = a_house(SECRETS.replace("LIST", items).replace("WORK", work))
    house.job(input={"hosts": "alpha-1,beta-2"})
    shown = [load_object(house.engine.blobs, job.input) for job in jobs_of(house, "task")]
    return [one["room"] for one in shown], [house.take().rendered.input["room"] for _ in shown]


@pytest.mark.parametrize(
    ("items", "work", "got"),
    [
        ('"{{ secret.KEYS }}"', "", ["wxyz-1234", "abcd-9876"]),
        ('"{{ secret.KEYS }}"', "| upper", ["WXYZ-1234", "ABCD-9876"]),
        ('["{{ secret.KEYS[0] }}", "{{ secret.KEYS[1] }}"]', "| length", ["9", "9"]),
        (SPLIT.replace("NAME", "hosts"), "", ["alpha-1", "beta-2"]),
        (SPLIT.replace("NAME", "hosts"), "| upper", ["ALPHA-1", "BETA-2"]),
    ],
)
def test_secrets_that_a_loop_goes_over_stand_in_no_table_of_its_sub_jobs(items, work, got):
    assert rooms(items, work) == ([SECRET_MASK] * 2, got)


def test_what_is_no_secret_is_shown_though_the_job_has_some():
    got = ["red", "blue"]
    assert rooms(SPLIT.replace("NAME", "shops")) == (got, got)
    assert rooms("[red, blue]") == (got, got)


# Loops, conditions, hooks and pauses around what the engine runs


MIXED = """
actions:
  do: { type: script, script: "true" }
  down: { type: task, task: below }
  ask: { type: approval, message: "Go on?" }
tasks:
  below: { flow: { work: { action: do } } }
  asking: { flow: { gate: { action: ask, for_each: [1, 2, 3], sequential: true } } }
  calling: { flow: { call: { action: down, for_each: [1, 2], max_parallel: 1 } } }
  asked:
    flow:
      a: { action: do }
      gate: { action: ask, depends_on: [a], when: "{{ a.output.go }}" }
      last: { action: do, depends_on: [gate] }
  hooked:
    on_success: [{ action: ask }]
    on_suspended: [{ action: do }]
    flow: { a: { action: do } }
"""


def instances(house, job_id, step):
    found = house.engine.jobs.load_instances(job_id, step, 0, 9)
    return [found[index].status.value for index in sorted(found)]


def answer(house, job_id, step, *, approved=True):
    answers.answer(house.engine, job_id, step, Answer(approved=approved, by="ann"))


def test_a_sequential_loop_asks_one_question_after_the_other_and_none_while_it_is_paused():
    house = a_house(MIXED)
    job_id = house.job(task="asking")
    assert instances(house, job_id, "gate") == ["suspended"]
    answer(house, job_id, "gate[0]")
    pausing.pause(house.engine, job_id)
    answer(house, job_id, "gate[1]")
    assert instances(house, job_id, "gate") == ["completed"] * 2
    pausing.resume(house.engine, job_id)
    assert instances(house, job_id, "gate") == ["completed", "completed", "suspended"]
    answer(house, job_id, "gate[2]", approved=False)
    assert house.record(job_id, "gate").error == "for_each loop failed: instances [2]"
    assert house.status(job_id) == "failed"


def test_a_sub_job_of_a_loop_that_was_cancelled_by_itself_leaves_null_and_the_loop_goes_on():
    house = a_house(MIXED)
    job_id = house.job(task="calling")
    (first,) = jobs_of(house, "task")
    advance.cancel(house.engine, first.job_id)
    assert instances(house, job_id, "call") == ["cancelled", "running"]
    work(house, lambda _: {"output": 2})
    record = house.record(job_id, "call")
    assert load_payload(house.engine.blobs, record.output) == [None, {"work": 2}]
    assert house.status(job_id) == "completed"


@pytest.mark.parametrize(
    ("go", "gate", "last"), [(True, "suspended", "pending"), (False, "skipped", "skipped")]
)
def test_a_condition_decides_whether_somebody_is_asked(go, gate, last):
    house = a_house(MIXED)
    job_id = house.job(task="asked")
    house.end(house.take(), output={"go": go})
    assert house.shown(job_id) == {"a": "completed", "gate": gate, "last": last}


def test_what_became_due_while_its_job_was_paused_is_asked_once_it_goes_on():
    house = a_house(MIXED)
    job_id = house.job(task="asked")
    assignment = house.take()
    pausing.pause(house.engine, job_id)
    house.end(assignment, output={"go": True})
    assert house.shown(job_id)["gate"] == "pending"
    pausing.resume(house.engine, job_id)
    assert house.shown(job_id)["gate"] == "suspended"


def test_a_hook_may_ask_for_an_approval_and_fires_no_hook_by_that():
    house = a_house(MIXED)
    job_id = house.job(task="hooked")
    work(house)
    (hook,) = jobs_of(house, "hook")
    assert house.shown(hook.job_id) == {"ask": "suspended"}
    assert house.status(job_id) == "completed"
    answer(house, hook.job_id, "ask")
    assert house.status(hook.job_id) == "completed"
