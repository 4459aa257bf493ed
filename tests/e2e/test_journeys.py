"""What users do with a running stack, through the command line and the API, on the real thing."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import boto3
import pytest

from tests.e2e.running_stack import STROEM, RunningStack, eventually

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")

HELD = """
tasks:
  counting:
    input: { gate: { type: string, required: true } }
    flow:
      count:
        action: count
        input: { gate: "{{ input.gate }}" }
actions:
  count:
    type: script
    input: { gate: { type: string, required: true } }
    script: |
      for i in 1 2 3; do echo line $i; done
      until [ -e {{ input.gate }} ]; do sleep 0.1; done
      for i in 4 5 6; do echo line $i; done
"""
BROKEN = "tasks: { counting: { flow: { count: { action: nowhere } } } }"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("workspace")
    (place / "tasks.yaml").write_text(HELD)
    return place


@pytest.fixture(scope="module")
def pushed(stack, folder):
    """A workspace of this module's own on the shared stack."""
    done = stack.stroem("workspace", "push", str(folder), "--name", "journeys")
    assert done.returncode == 0, done.stderr
    return "journeys"


@pytest.fixture
def gate():
    """A file that is not there yet: once it is, the step that waits for it goes on."""
    with tempfile.TemporaryDirectory() as open_to_all:
        # Steps may run as a user of their own.
        Path(open_to_all).chmod(0o755)
        yield Path(open_to_all) / "gate"


def detail(stack, job_id):
    status, body = stack.get(f"/api/jobs/{job_id}")
    assert status == 200, body
    return json.loads(body)


def started(stack, *arguments):
    done = stack.stroem("trigger", *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["job_id"]


def logs(stack, job_id):
    return json.loads(stack.get(f"/api/jobs/{job_id}/logs")[1])["logs"]


def of_steps(text):
    return [line for line in text.splitlines() if json.loads(line)["step"] != "_server"]


def test_following_a_job_prints_its_lines_while_it_runs_and_exits_as_it_ended(stack, pushed, gate):
    task = ["counting", "-w", pushed, "-i", f"gate={gate}"]
    command = [str(STROEM), "trigger", *task, "--follow", "--server", stack.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        hung = threading.Timer(60, process.kill)
        hung.start()
        for n in (1, 2, 3):
            assert process.stdout.readline() == f"count: line {n}\n"
        gate.touch()
        assert process.stdout.read().splitlines() == [f"count: line {n}" for n in (4, 5, 6)]
        assert process.wait(30) == 0
        hung.cancel()


def test_a_log_reads_the_same_while_it_runs_afterwards_and_without_its_chunks(stack, pushed, gate):
    job_id = started(stack, "counting", "-w", pushed, "-i", f"gate={gate}")
    early = eventually(lambda: of_steps(logs(stack, job_id)))
    assert detail(stack, job_id)["completed_at"] is None
    gate.touch()
    eventually(lambda: detail(stack, job_id)["completed_at"])
    whole = logs(stack, job_id)
    assert len(of_steps(whole)) == 6
    assert of_steps(whole)[: len(early)] == early
    assert forget_chunks(stack, job_id) > 0
    assert logs(stack, job_id) == whole


def forget_chunks(stack, job_id):
    """Delete the job's items of the logs table, as their expiry does."""
    deployed = stack.deployed
    table = boto3.resource(
        "dynamodb",
        endpoint_url=deployed["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ).Table(deployed["outputs"]["LogsTable"])
    with closing(table.meta.client):
        items = table.scan()["Items"]
        mine = [item for item in items if job_id in item["pk"]]
        for item in mine:
            table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    return len(mine)


def test_outputs_flow_from_step_to_step_and_out_of_the_job(stack):
    done = stack.stroem("trigger", "etl-orders", "-i", "currency=DKK", "--wait", "-o", "json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["output"] == {"report": {"countries": 5, "dropped": 4}}
    assert {step["status"] for step in job["steps"]} == {"completed"}


@pytest.mark.parametrize(
    ("task", "code", "statuses"),
    [
        ("tolerant", 0, {"failed", "skipped", "completed"}),
        ("failing", 1, {"completed", "failed", "skipped"}),
        pytest.param("three-languages", 0, {"completed"}, marks=needs_node),
        ("fan-out-fan-in", 0, {"completed"}),
        ("access-report", 0, {"completed"}),
        ("backup", 0, {"completed"}),
        ("build-and-test", 0, {"completed"}),
        ("flaky", 0, {"completed"}),
    ],
)
def test_each_sample_ends_as_its_description_says(stack, task, code, statuses):
    done = stack.stroem("trigger", task, "--wait", "-o", "json")
    assert done.returncode == code, done.stderr
    assert {step["status"] for step in json.loads(done.stdout)["steps"]} == statuses


def test_the_same_idempotency_key_makes_one_job(stack):
    first, again = (started(stack, "access-report", "--idempotency-key", "k1") for _ in range(2))
    assert first == again
    other = stack.stroem("trigger", "backup", "--idempotency-key", "k1")
    assert other.returncode == 2
    assert "idempotency key" in other.stderr


def test_a_broken_push_keeps_the_revision_in_force_and_says_what_is_wrong(stack, pushed, tmp_path):
    (tmp_path / "tasks.yaml").write_text(BROKEN)
    before = revision(stack, pushed)
    done = stack.stroem("workspace", "push", str(tmp_path), "--name", pushed)
    assert done.returncode == 2
    assert "tasks.yaml:1:" in done.stderr
    assert revision(stack, pushed) == before


def test_an_unchanged_push_makes_no_new_revision(stack, pushed, folder):
    before = revision(stack, pushed)
    done = stack.stroem("workspace", "push", str(folder), "--name", pushed)
    assert (done.returncode, revision(stack, pushed)) == (0, before)
    assert "unchanged" in done.stdout


def test_a_refresh_reads_the_folder_again(own_stack, tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "tasks.yaml").write_text(HELD)
    own_stack.options = (*own_stack.options, "--workspace", f"default={folder}")
    own_stack.start()
    before = revision(own_stack, "default")
    (folder / "tasks.yaml").write_text(HELD.replace("counting", "renamed"))
    answer = eventually(lambda: refreshed(own_stack))
    assert answer["refreshed"]
    assert answer["revision"] == revision(own_stack, "default") != before
    assert "renamed" in own_stack.stroem("tasks", "--remote").stdout


def refreshed(stack):
    """Return the answer to a refresh; None while the pause after the last one lasts."""
    with closing(HTTPConnection("127.0.0.1", stack.port, timeout=20)) as connection:
        connection.request("POST", "/api/workspaces/default/refresh")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    assert answer.status in (200, 429), body
    return body if answer.status == 200 else None


def revision(stack, name):
    found = json.loads(stack.get("/api/workspaces")[1])
    return next(item["revision"] for item in found if item["name"] == name)


def test_a_job_that_nobody_has_taken_is_cancelled_at_once(own_stack):
    own_stack.start()
    job_id = started(own_stack, "release")
    done = own_stack.stroem("cancel", job_id)
    assert (done.returncode, done.stdout) == (0, f"{job_id}: cancelled\n")
    ended = detail(own_stack, job_id)
    assert ended["status"] == "cancelled"
    assert {step["status"] for step in ended["steps"]} == {"cancelled"}
    assert own_stack.stroem("cancel", job_id).returncode == 7


def test_a_job_runs_when_only_the_deployed_function_answers_requests(stack):
    """The front door serves REST in process; here every request goes through the Lambda."""
    deployed = stack.deployed
    base = f"/restapis/{deployed['outputs']['RestAPIId']}/live/_user_request_"
    host = deployed["endpoint"].removeprefix("http://")

    def ask(method, path, body=None):
        with closing(HTTPConnection(host, timeout=30)) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request(method, base + path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    path = "/api/workspaces/default/tasks/release/execute"
    status, answer = ask("POST", path, {"input": {"bump": "patch"}})
    assert status == 200, answer
    job = eventually(lambda: ended_of(ask("GET", f"/api/jobs/{answer['job_id']}")))
    assert job["output"] == {"announce": {"released": "1.4.3"}}
    assert ask("GET", f"/api/jobs/{answer['job_id']}/logs")[1]["logs"].count("\n") > 10
    status, problem = ask("POST", path, {"input": {"bump": "huge"}})
    assert (status, problem["errors"][0]["pointer"]) == (400, "/bump")


def ended_of(answer):
    status, job = answer
    assert status == 200, job
    return job if job["completed_at"] else None


def test_workers_over_http_run_the_same_workflow(tmp_path):
    over_http = RunningStack(tmp_path / "data", options=("--control", "http")).start()
    try:
        done = over_http.stroem("trigger", "release", "--wait", "-o", "json")
        assert done.returncode == 0, over_http.said
        assert json.loads(done.stdout)["output"] == {"announce": {"released": "1.5.0"}}
    finally:
        over_http.stop()
