"""`stroem cancel`, `pause`, `resume`, `rerun` against the real app."""

import json
from uuid import uuid4

import pytest

from tests.fakes.command import Command, write
from tests.fakes.runner import eventually
from tests.fakes.stack import a_stack

SHOP = """
actions:
  say: {type: script, script: "true", env: {LINES: "hej", OUTPUT: "{\\"id\\": 7}"}}
  fail: {type: script, script: "false", env: {LINES: "oh", ERROR: "Exit code: 3"}}
tasks:
  ship:
    input: {count: {type: integer, default: 1}, password: {type: string, secret: true}}
    flow: {build: {action: say}, pack: {action: fail, depends_on: [build]}}
  wait:
    flow: {gate: {type: approval, message: "Go?"}, after: {action: say, depends_on: [gate]}}
triggers:
  nightly: {type: scheduler, cron: "0 2 * * *", task: ship}
"""
HIDDEN = "a-password-of-mine"


@pytest.fixture(scope="module")
def stack():
    with a_stack() as running:
        yield running


@pytest.fixture
def stroem(monkeypatch, stack, tmp_path):
    monkeypatch.setenv("STROEM_URL", stack.url)
    monkeypatch.delenv("STROEM_TOKEN", raising=False)
    command = Command(monkeypatch)
    assert command("workspace", "push", write(tmp_path, shop=SHOP), "--name", "shop").code == 0
    return command


@pytest.fixture
def held(stack):
    stack.paused.set()
    yield stack
    stack.paused.clear()


def made(ran):
    assert ran.code == 0, ran.err
    return ran.out.removeprefix("Job created: ").strip()


def shown(stroem, job):
    return json.loads(stroem("status", job, "-o", "json").out)


@pytest.fixture
def failed(stroem):
    given = ("-i", "count=2", "-i", f"password={HIDDEN}")
    ran = stroem("trigger", "ship", "-w", "shop", *given, "--wait", "-o", "json")
    assert ran.code == 1
    return json.loads(ran.out)["job_id"]


def test_a_job_is_cancelled_or_killed(stroem, held):
    first, second = (made(stroem("trigger", "ship", "-w", "shop")) for _ in "ab")
    assert stroem("cancel", first).out == f"{first}: cancelled\n"
    ran = stroem("cancel", second, "--kill", "-o", "json")
    assert json.loads(ran.out) == {"job_id": second, "status": "cancelled"}
    assert [shown(stroem, job)["killed"] for job in (first, second)] == [False, True]
    assert stroem("cancel", first).code == 7


def test_waiting_for_a_cancel_shows_how_each_step_ended(stroem):
    job = made(stroem("trigger", "wait", "-w", "shop"))
    ran = stroem("cancel", job, "--wait")
    assert ran.code == 0
    assert "gate   cancelled" in ran.out
    assert "after  cancelled" in ran.out
    assert stroem("cancel", job, "--timeout", "1").code == 2


def test_waiting_for_a_cancel_gives_up_in_time(stroem, held):
    from chalicelib.engine import workers  # noqa: PLC0415 - only here a worker is held by hand

    job = made(stroem("trigger", "ship", "-w", "shop"))
    with held.lock:
        session = workers.register(held.engine, workers.Hello(name="w", capabilities=("script",)))
        while taken := held.engine.queue.receive("script", 0, 1):
            workers.take(held.engine, taken[0], session.worker_id, "w")
    ran = stroem("cancel", job, "--wait", "--timeout", "0")
    assert ran.code == 6
    assert "are being stopped" in ran.err


def test_a_job_is_paused_and_goes_on(stroem, held):
    job = made(stroem("trigger", "ship", "-w", "shop"))
    assert stroem("pause", job).out == f"{job}: paused\n"
    assert "about      paused" in stroem("status", job).out
    held.paused.clear()
    ran = stroem("resume", job, "-o", "json")
    assert json.loads(ran.out) == {"job_id": job, "status": "ok", "paused": False}
    assert eventually(lambda: shown(stroem, job)["status"] == "failed")
    assert stroem("pause", job).code == 7


def test_the_triggers_of_a_task_are_paused_and_go_on(stroem, stack):
    assert stroem("pause", "--task", "shop/ship").out == "shop/ship: paused\n"
    assert stack.engine.registry.paused_tasks("shop") == {"ship"}
    ran = stroem("resume", "--task", "shop/ship", "-o", "json")
    assert json.loads(ran.out) == {
        "workspace": "shop",
        "task": "ship",
        "status": "ok",
        "paused": False,
    }
    assert stack.engine.registry.paused_tasks("shop") == frozenset()


@pytest.mark.parametrize(
    "given", [(), ("--task", "ship"), ("--task", "shop/"), (str(uuid4()), "--task", "shop/ship")]
)
def test_what_is_to_be_paused_is_one_job_or_one_task(stroem, given):
    ran = stroem("pause", *given)
    assert (ran.code, ran.out) == (2, "")


def test_a_job_is_run_again_whole_with_the_inputs_it_had(stroem, stack, failed):
    new = made(stroem("rerun", failed))
    assert shown(stroem, new)["input"] == {"count": 2, "password": "********"}
    assert shown(stroem, failed)["rerun_job_ids"] == [new]
    kept = stack.engine.jobs.get(new).secret_input
    assert HIDDEN in stack.engine.blobs.get(kept.key).decode()


def test_only_what_failed_is_run_again_and_waited_for(stroem, failed):
    ran = stroem("rerun", failed, "--failed", "--wait", "-o", "json")
    assert ran.code == 1
    job = json.loads(ran.out)
    assert job["restart_from_step"] == "failed"
    log = stroem("logs", job["job_id"], "--step", "_server").out
    assert f"Step 'build' taken over from job {failed}: completed" in log


def test_from_a_step_on_the_newest_revision_with_another_input(stroem, failed):
    ran = stroem("rerun", failed, "--from", "pack", "--newest", "-i", "count=3", "--follow")
    assert ran.code == 1
    assert ran.out == "pack: oh\n"
    new = ran.err.partition("Job created: ")[2].partition("\n")[0]
    assert shown(stroem, new)["input"]["count"] == 3
    assert "re-run from pack" in stroem("status", new).out


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("--from", "pack", "--failed"), 2),
        (("--timeout", "1"), 2),
        (("--from", "nope"), 2),
        (("-i", "cuont=3"), 2),
    ],
)
def test_what_does_not_go_together_makes_no_job(stroem, failed, given, code):
    ran = stroem("rerun", failed, *given)
    assert (ran.code, ran.out) == (code, "")
    assert shown(stroem, failed)["rerun_job_ids"] == []


@pytest.mark.parametrize("verb", ["rerun", "pause", "resume"])
def test_a_job_that_is_not_there_is_not_found(stroem, verb):
    assert stroem(verb, str(uuid4())).code == 3


def test_a_job_that_goes_on_is_not_run_again(stroem, held):
    ran = stroem("rerun", made(stroem("trigger", "ship", "-w", "shop")))
    assert ran.code == 7
    assert "has ended" in ran.err


def test_a_job_is_started_with_a_priority(stroem, held):
    job = made(stroem("trigger", "ship", "-w", "shop", "--priority", "low"))
    assert shown(stroem, job)["priority"] == "low"
