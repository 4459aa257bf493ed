"""Every feature of the language on the deployed stack: the workflows of examples/, as users do."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.e2e.gates import a_gate
from tests.e2e.running_stack import ROOT, eventually

WORKSPACE = "default"
# The only step of `one-at-a-time`: what it is while it runs must not hang on the machine's speed.
BRIEF = 'script: "sleep 2"'


@pytest.fixture
def gate():
    with a_gate() as made:
        yield made


@pytest.fixture
def held(stack, gate, tmp_path):
    """The examples once more, as a workspace whose brief step waits for the gate."""
    folder = tmp_path / "held"
    shutil.copytree(ROOT / "examples", folder)
    file = folder / ".workflows" / "features.yaml"
    text = file.read_text()
    assert text.count(BRIEF) == 1
    file.write_text(text.replace(BRIEF, f'script: "{gate.shell()}"'))
    pushed = stack.stroem("workspace", "push", str(folder), "--name", "held")
    assert pushed.returncode == 0, pushed.stderr
    return "held"


def started(stack, task, *arguments, workspace=WORKSPACE):
    done = stack.stroem("trigger", task, "-w", workspace, *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["job_id"]


def detail(stack, job_id):
    status, body = stack.get(f"/api/jobs/{job_id}")
    assert status == 200, body
    return json.loads(body)


def ended(stack, job_id, within_s=120):
    eventually(lambda: detail(stack, job_id)["completed_at"], within_s)
    return detail(stack, job_id)


def logged(stack, job_id):
    text = json.loads(stack.get(f"/api/jobs/{job_id}/logs")[1])["logs"]
    return [json.loads(line)["line"] for line in text.splitlines()]


def statuses(job):
    return {
        step["step_name"]: step["status"] for step in job["steps"] if "[" not in step["step_name"]
    }


def jobs_of(stack, source_type):
    body = json.loads(stack.get(f"/api/jobs?source_type={source_type}&limit=100")[1])
    return body["items"]


def hook_lines(stack, job_id):
    """Return what the hooks of a job printed, once they have ended."""
    ours = [job for job in jobs_of(stack, "hook") if (job["source_id"] or "").startswith(job_id)]
    lines = [line for job in ours if job["completed_at"] for line in logged(stack, job["job_id"])]
    return lines if ours and all(job["completed_at"] for job in ours) else []


@pytest.mark.parametrize(("env", "deploy"), [("dev", "skipped"), ("prod", "completed")])
def test_a_step_runs_only_if_its_condition_holds(stack, env, deploy):
    job = ended(stack, started(stack, "conditional", "-i", f"env={env}"))
    assert statuses(job) == {"test": "completed", "deploy": deploy, "done": "completed"}


def test_a_loop_runs_a_step_for_each_item_and_hands_their_outputs_on(stack):
    job = ended(stack, started(stack, "loop"))
    assert job["status"] == "completed"
    assert job["output"] == {"total": {"letters": 25}}


def test_a_sequential_loop_stops_at_its_first_failure(stack):
    job = ended(stack, started(stack, "one-after-the-other"))
    assert statuses(job) == {"rounds": "failed", "report": "completed"}
    assert "for_each loop failed: instances [2]" in logged(stack, job["job_id"])


def test_a_step_is_tried_again(stack):
    job = ended(stack, started(stack, "retries"))
    assert job["status"] == "completed"
    [lucky] = [step for step in job["steps"] if step["step_name"] == "lucky"]
    assert [past["attempt"] for past in lucky["retry_history"]] == [1]


def test_a_task_is_tried_again_by_a_second_job_and_only_then_the_hook_tells(stack):
    first = ended(stack, started(stack, "try-the-task-again"))
    assert first["status"] == "failed"
    second = ended(stack, first["retry_job_id"])
    assert second["retry_of_job_id"] == first["job_id"]
    lines = eventually(lambda: hook_lines(stack, second["job_id"]))
    assert any("gave up: Step 'work'" in line for line in lines)
    assert hook_lines(stack, first["job_id"]) == []


def test_a_task_runs_other_tasks_as_its_steps(stack):
    job = ended(stack, started(stack, "sub-jobs"))
    assert statuses(job) == {"first": "completed", "others": "completed", "tell": "completed"}
    children = [
        child for child in jobs_of(stack, "task") if child["source_id"].startswith(job["job_id"])
    ]
    assert len(children) == 3
    assert "2 more shops" in logged(stack, job["job_id"])


def test_a_job_waits_until_somebody_approves_and_the_form_flows_on(stack):
    job_id = started(stack, "approval")
    eventually(lambda: statuses(detail(stack, job_id))["gate"] == "suspended")
    refused = stack.stroem("approve", job_id, "gate")
    assert refused.returncode == 2
    assert "reason" in refused.stderr
    done = stack.stroem("approve", job_id, "gate", "-i", "reason=it is Monday")
    assert done.returncode == 0, done.stderr
    assert ended(stack, job_id)["status"] == "completed"
    assert "shipped because it is Monday" in logged(stack, job_id)
    lines = eventually(lambda: hook_lines(stack, job_id))
    assert any("approval waits: Ship 1.0?" in line for line in lines)


def test_a_rejected_approval_fails_the_job(stack):
    job_id = started(stack, "approval")
    eventually(lambda: statuses(detail(stack, job_id))["gate"] == "suspended")
    assert stack.stroem("reject", job_id, "gate", "--reason", "not today").returncode == 0
    job = ended(stack, job_id)
    assert (job["status"], statuses(job)["ship"]) == ("failed", "skipped")


@pytest.mark.parametrize(("fail", "says"), [("true", "hooks: Step 'work'"), ("false", "took")])
def test_hooks_tell_how_a_job_ended(stack, fail, says):
    job = ended(stack, started(stack, "hooks", "-i", f"fail={fail}"))
    lines = eventually(lambda: hook_lines(stack, job["job_id"]))
    assert any(says in line for line in lines)


def test_a_second_job_of_the_same_key_waits_and_says_for_what(stack, held, gate):
    first, second = (started(stack, "one-at-a-time", workspace=held) for _ in range(2))
    other = started(stack, "one-at-a-time", "-i", "customer=else", workspace=held)
    eventually(lambda: detail(stack, first)["started_at"])
    eventually(lambda: detail(stack, other)["started_at"])
    waiting = detail(stack, second)
    assert waiting["started_at"] is None
    assert waiting["waits_for"]
    gate.open()
    assert ended(stack, other)["status"] == "completed"
    assert ended(stack, first)["completed_at"] <= ended(stack, second)["started_at"]


def test_a_workflow_that_uses_everything_ends_green(stack):
    job_id = started(stack, "everything")
    eventually(lambda: statuses(detail(stack, job_id))["gate"] == "suspended")
    done = stack.stroem("approve", job_id, "gate", "-i", "reason=all is well")
    assert done.returncode == 0, done.stderr
    job = ended(stack, job_id)
    assert job["status"] == "completed"
    assert statuses(job) == {
        "prepare": "completed",
        "never": "skipped",
        "visit": "completed",
        "greet": "completed",
        "allowed-to-fail": "failed",
        "gate": "completed",
        "ship": "completed",
    }
    assert "shipped 2.0: all is well" in logged(stack, job_id)
    lines = eventually(lambda: hook_lines(stack, job_id))
    assert any("waiting: Ship 2.0 to 2 shops?" in line for line in lines)


def test_a_job_runs_again_from_the_step_that_failed(stack):
    first = ended(stack, started(stack, "one-after-the-other"))
    done = stack.stroem("rerun", first["job_id"], "--from", "failed", "-o", "json")
    assert done.returncode == 0, done.stderr
    again = ended(stack, json.loads(done.stdout)["job_id"])
    assert again["source_job_id"] == first["job_id"]
    rounds = {s["step_name"] for s in again["steps"] if s["step_name"].startswith("rounds[")}
    assert "rounds[2]" in rounds


def test_a_paused_job_begins_nothing_until_it_goes_on(stack, held, gate):
    job_id = started(stack, "one-at-a-time", "-i", "customer=paused", workspace=held)
    assert stack.stroem("pause", job_id).returncode == 0
    assert detail(stack, job_id)["paused"]
    assert stack.stroem("resume", job_id).returncode == 0
    gate.open()
    assert ended(stack, job_id)["status"] == "completed"
