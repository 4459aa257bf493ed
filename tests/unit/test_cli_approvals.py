"""`stroem approve` and `reject`, and what `status`, `logs -f` show of jobs that wait."""

import json
import threading

import pytest

from chalicelib.cli import showing
from chalicelib.domain.approvals import Answer
from chalicelib.engine import answers
from tests.fakes.command import Command, write
from tests.fakes.runner import eventually
from tests.fakes.stack import a_stack

SHOP = """
actions:
  say: {type: script, script: "true", env: {LINES: "hej"}}
tasks:
  ship:
    flow:
      gate:
        type: approval
        message: "Ship\\tit?"
        input: {count: {type: integer, required: true}, note: {type: string}}
      after: {action: say, depends_on: [gate]}
  plain:
    flow:
      gate: {type: approval, message: "Sure?"}
  each:
    flow:
      loop: {action: say, for_each: [1, 2, 3]}
      gate: {type: approval, message: "{{ input.n }}?", for_each: [4, 5], depends_on: [loop],
             input: {n: "{{ each.item }}"}}
"""


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


def made(stroem, task):
    ran = stroem("trigger", task, "-w", "shop")
    assert ran.code == 0, ran.err
    return ran.out.removeprefix("Job created: ").strip()


def steps_of(stroem, job):
    shown = json.loads(stroem("status", job, "-o", "json").out)["steps"]
    return {step["step_name"]: step for step in shown}


def test_status_says_how_a_suspended_step_is_answered(stroem):
    job = made(stroem, "ship")
    out = stroem("status", job).out
    assert "gate   suspended  -     -        waits for an answer" in out
    assert "gate waits for an answer: Ship it?" in out
    assert f"stroem approve {job} gate -i count=…" in out
    assert f"stroem reject {job} gate --reason …" in out


def test_approve_reads_the_form_by_its_types_and_the_job_goes_on(stroem):
    job = made(stroem, "ship")
    ran = stroem("approve", job, "gate", "-i", "count=3")
    assert (ran.code, ran.out) == (0, f"{job} gate: approved\n")
    assert eventually(lambda: "completed" in stroem("status", job).out.split("\n\n")[0])
    assert steps_of(stroem, job)["gate"]["output"]["input"] == {"count": 3}


def test_an_answer_that_does_not_fit_is_told_and_may_be_given_again(stroem):
    job = made(stroem, "ship")
    missing = stroem("approve", job, "gate")
    assert (missing.code, missing.out) == (2, "")
    assert "count: is required" in missing.err
    assert stroem("approve", job, "gate", "-i", "cuont=3").code == 2
    assert stroem("approve", job, "gate", "--input", '{"count": 3}').code == 0


def test_reject_fails_the_step(stroem):
    job = made(stroem, "plain")
    ran = stroem("reject", job, "gate", "--reason", "not today", "-o", "json")
    assert json.loads(ran.out) == {"job_id": job, "step_name": "gate", "status": "rejected"}
    assert "gate: not today" in stroem("status", job).out
    assert stroem("reject", job, "gate").code == 7
    assert stroem("approve", job, "nope", "-i", "a=1").code == 3


def test_instances_are_answered_by_their_names_and_loops_show_how_far_they_are(stroem):
    job = made(stroem, "each")
    assert eventually(lambda: "gate[1]" in stroem("status", job).out)
    out = stroem("status", job).out
    assert "3/3 done" in out
    assert "0/2 done, 2 running" in out
    assert f"stroem approve {job} 'gate[1]'" in out
    assert "loop[0]" not in out
    assert stroem("approve", job, "gate[1]").code == 0
    assert "1/2 done, 1 running" in stroem("status", job).out


def test_a_server_without_a_key_makes_no_links(stroem):
    ran = stroem("approve", made(stroem, "plain"), "gate", "--links")
    assert (ran.code, ran.out) == (7, "")
    assert "STROEM_LINK_KEY" in ran.err


def test_who_follows_is_told_once_what_asks_for_an_answer(stroem, stack):
    job = made(stroem, "plain")
    answering = threading.Timer(0.6, lambda: _approve(stack, job))
    answering.start()
    ran = stroem("logs", job, "-f")
    answering.join()
    assert ran.err.count("gate waits for an answer: Sure?") == 1
    assert ran.err.endswith(f"job {job} completed\n")


def _approve(stack, job):
    with stack.lock:
        answers.answer(stack.engine, job, "gate", Answer(approved=True, by="test"))


def test_what_is_special_about_a_job_is_told_in_a_few_words():
    job = {
        "paused": True,
        "killed": False,
        "priority": "high",
        "retry_attempt": 1,
        "max_retries": 2,
        "retry_job_id": None,
        "source_job_id": "x",
        "restart_from_step": "build",
        "depth": 1,
    }
    told = "paused, high priority, retry 1 of 2, re-run from build, sub-job"
    assert showing.about_job(job) == told
    assert showing.about_job({}) is None


LOCAL = """
tasks:
  ship:
    flow:
      gate:
        type: approval
        message: "Ship {{ input.what }}?"
        for_each: [a, b]
        input:
          what: {type: string, default: it}
      after: {type: script, script: "echo done", depends_on: [gate]}
  form:
    flow:
      gate: {type: approval, message: "Sure?", input: {why: {type: string, required: true}}}
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    write(tmp_path, all=LOCAL)
    stroem = Command(monkeypatch)
    return lambda *given: stroem("run", *given, "--path", tmp_path)


def test_a_local_run_with_yes_approves_what_asks(run):
    ran = run("ship", "--yes")
    assert (ran.code, ran.out) == (0, "after: done\n")
    assert "gate[1]: Ship it?" in ran.err


def test_a_local_run_rejects_what_asks_and_says_how_to_approve(run):
    ran = run("ship", "-o", "json")
    assert ran.code == 1
    assert json.loads(ran.out)["steps"] == {"gate": "failed", "after": "skipped"}
    assert "gate[0]: Ship it?" in ran.err


def test_a_local_run_does_not_make_a_form_up(run):
    ran = run("form", "--yes")
    assert ran.code == 1
    assert "gate: failed: the answer does not fit the form: why: is required" in ran.err
