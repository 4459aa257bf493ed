"""Verbs against a server: the real app over an engine in memory, on a real port."""

import json
from uuid import uuid4

import pytest

from tests.fakes.command import Command, write
from tests.fakes.runner import eventually
from tests.fakes.stack import a_stack

SHOP = """
actions:
  say: {type: script, script: "true", env: {LINES: "ett|två", OUTPUT: "{\\"id\\": 7}"}}
  fail: {type: script, script: "false", env: {LINES: "oh", ERROR: "Exit code: 3\\nStderr: oh"}}
tasks:
  ship:
    folder: ops
    description: Builds and ships
    input:
      count: {type: integer, default: 1}
      hosts: {type: string, options: [a, b], multiple: true}
    flow: {build: {action: say}, pack: {action: say, depends_on: [build]}}
  bad:
    flow: {breaks: {action: fail}, never: {action: say, depends_on: [breaks]}}
"""


@pytest.fixture(scope="module")
def stack():
    with a_stack() as running:
        yield running


@pytest.fixture
def stroem(monkeypatch, stack):
    monkeypatch.setenv("STROEM_URL", stack.url)
    monkeypatch.delenv("STROEM_TOKEN", raising=False)
    return Command(monkeypatch)


@pytest.fixture
def shop(stroem, tmp_path):
    """The workspace `shop`, pushed by the command itself."""
    folder = write(tmp_path / "shop", shop=SHOP)
    assert stroem("workspace", "push", folder, "--name", "shop").code == 0
    return folder


@pytest.fixture
def paused(stack):
    stack.paused.set()
    yield stack
    stack.paused.clear()


def made(ran):
    assert ran.code == 0, ran.err
    return ran.out.removeprefix("Job created: ").strip()


def test_a_folder_is_pushed_once_and_then_unchanged(stroem, tmp_path):
    name = f"w-{uuid4().hex[:8]}"
    folder = write(tmp_path, shop=SHOP)
    first = stroem("workspace", "push", folder, "--name", name)
    again = stroem("workspace", "push", folder, "--name", name, "-o", "json")
    assert first.out.startswith(f"{name}: revision ")
    assert first.out.endswith("(published)\n")
    assert "sending 1 files" in first.err
    assert json.loads(again.out)["changed"] is False
    assert f"{name} " in stroem("workspaces").out


def test_a_broken_folder_is_not_sent(stroem, tmp_path):
    ran = stroem("workspace", "push", write(tmp_path, a="tasks: [\n"), "--name", "broken")
    assert (ran.code, ran.out) == (2, "")
    assert ".workflows/a.yaml:2:1: error:" in ran.err
    assert "nothing was sent" in ran.err
    assert "broken" not in stroem("workspaces").out


def test_a_name_that_no_workspace_can_have_is_refused_by_the_server(stroem, shop):
    ran = stroem("workspace", "push", shop, "--name", "a b")
    assert ran.code == 2
    assert "cannot name a workspace" in ran.err


def test_the_tasks_of_the_server_are_listed_of_all_workspaces_or_of_one(stroem, shop):
    rows = stroem("tasks", "--remote", "-w", "shop").out.splitlines()
    assert rows[1:] == ["shop       ship  ops     Builds and ships", "shop       bad   -       -"]
    everywhere = stroem("tasks", "--remote").out.splitlines()
    assert {tuple(row.split()) for row in rows} <= {tuple(row.split()) for row in everywhere}
    assert stroem("tasks", "--remote", "-w", "nowhere").code == 3


def test_a_job_is_made_and_shown_with_its_steps(stroem, shop):
    job = made(stroem("trigger", "ship", "-w", "shop", "-i", "count=2", "-i", "hosts=a,b"))
    assert eventually(lambda: "completed" in stroem("status", job).out.split("\n\n")[0])
    shown = stroem("status", job).out
    assert f"job        {job}\n" in shown
    assert "task       shop/ship\n" in shown
    assert json.loads(stroem("status", job, "-o", "json").out)["input"] == {
        "count": 2,
        "hosts": ["a", "b"],
    }


def test_waiting_ends_as_the_job_does(stroem, shop):
    assert stroem("trigger", "ship", "-w", "shop", "--wait").code == 0
    ran = stroem("trigger", "bad", "-w", "shop", "--wait", "-o", "json")
    assert ran.code == 1
    assert json.loads(ran.out)["status"] == "failed"
    assert "breaks: failed: Exit code: 3\n" in ran.err


def test_following_prints_each_line_once_behind_its_step(stroem, shop):
    ran = stroem("trigger", "ship", "-w", "shop", "--follow")
    assert ran.code == 0
    assert ran.out.splitlines() == ["build: ett", "build: två", "pack: ett", "pack: två"]
    assert ran.err.startswith("Job created: ")


def test_following_with_json_leaves_stdout_to_the_job(stroem, shop):
    ran = stroem("trigger", "ship", "-w", "shop", "--follow", "-o", "json")
    assert json.loads(ran.out)["output"] == {"pack": {"id": 7}}
    assert "build: två" in ran.err


def test_a_cancelled_job_ends_the_wait_with_5(stroem, shop, paused):
    key = uuid4().hex
    again = ("trigger", "ship", "-w", "shop", "--idempotency-key", key)
    job = json.loads(stroem(*again, "-o", "json").out)["job_id"]
    assert stroem("cancel", job).out == f"{job}: cancelled\n"
    assert stroem(*again, "--wait").code == 5


def test_a_job_that_has_ended_cannot_be_cancelled(stroem, shop, paused):
    job = made(stroem("trigger", "ship", "-w", "shop"))
    assert json.loads(stroem("cancel", job, "-o", "json").out)["status"] == "cancelled"
    ran = stroem("cancel", job)
    assert (ran.code, ran.out) == (7, "")


def test_a_wait_that_takes_too_long_ends_with_6_and_leaves_the_job_alone(stroem, shop, paused):
    ran = stroem("trigger", "ship", "-w", "shop", "--wait", "--timeout", "0")
    assert ran.code == 6
    assert "it goes on" in ran.err


def test_the_same_key_makes_the_same_job_and_another_body_is_refused(stroem, shop):
    key = uuid4().hex
    same = [made(stroem("trigger", "ship", "-w", "shop", "--idempotency-key", key)) for _ in "ab"]
    assert same[0] == same[1]
    ran = stroem("trigger", "bad", "-w", "shop", "--idempotency-key", key)
    assert ran.code == 2
    assert "idempotency key was used" in ran.err


def test_an_input_is_read_by_the_type_that_the_server_tells(stroem, shop):
    ran = stroem("trigger", "ship", "-w", "shop", "-i", "count=many")
    assert (ran.code, ran.out) == (2, "")
    assert "must be a whole number" in ran.err


def test_what_the_server_refuses_is_told_with_each_field(stroem, shop):
    given = '{"count": "x", "hosts": ["c"]}'
    ran = stroem("trigger", "ship", "-w", "shop", "--input", given)
    assert ran.code == 2
    assert "\n  /count: must be a whole number" in ran.err
    assert "\n  /hosts: must be one of: a, b" in ran.err


@pytest.fixture
def ended(stroem, shop):
    ran = stroem("trigger", "ship", "-w", "shop", "--wait", "-o", "json")
    return json.loads(ran.out)["job_id"]


def test_a_log_is_read_whole_or_of_one_step(stroem, ended):
    steps = {line.partition(":")[0] for line in stroem("logs", ended).out.splitlines()}
    assert steps == {"build", "pack", "_server"}
    assert stroem("logs", ended, "--step", "pack").out == "pack: ett\npack: två\n"
    assert "Job completed" in stroem("logs", ended, "--step", "_server").out


def test_a_log_comes_as_an_array_or_as_lines_of_json(stroem, ended):
    array = json.loads(stroem("logs", ended, "--step", "build", "-o", "json").out)
    lines = stroem("logs", ended, "--step", "build", "-o", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == array
    assert [line["line"] for line in array] == ["ett", "två"]


@pytest.mark.parametrize("step", ["build", "_server"])
def test_a_log_can_be_followed_after_its_end(stroem, ended, step):
    ran = stroem("logs", ended, "-f", "--step", step)
    assert ran.code == 0
    assert ran.out == stroem("logs", ended, "--step", step).out
    assert ran.err == f"job {ended} completed\n"


def test_following_a_step_that_the_job_does_not_have_is_refused(stroem, ended):
    ran = stroem("logs", ended, "-f", "--step", "nope")
    assert ran.code == 3
    assert "has no step 'nope'" in ran.err


def test_jobs_are_listed_newest_first_and_by_what_is_asked_for(stroem, shop, ended):
    listed = stroem("jobs", "-w", "shop", "--task", "ship", "--limit", "1")
    assert listed.out.splitlines()[1].startswith(ended)
    assert listed.err.startswith("1 of ")
    page = json.loads(stroem("jobs", "-w", "shop", "--status", "failed", "-o", "json").out)
    assert {job["status"] for job in page["items"]} <= {"failed"}


@pytest.mark.parametrize("verb", ["status", "logs", "cancel"])
def test_a_job_that_is_not_there_is_not_found(stroem, verb):
    ran = stroem(verb, str(uuid4()))
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("stroem: ")


def test_the_doctor_finds_a_server_that_is_well(stroem):
    ran = stroem("doctor", "-o", "json")
    assert ran.code == 0, ran.err
    assert {check["name"]: check["ok"] for check in json.loads(ran.out)}["server"]
