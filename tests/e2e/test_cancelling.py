"""Cancelling on the deployed stack: what runs stops soon, and nothing is left of it."""

from __future__ import annotations

import json
from time import monotonic

from tests.e2e.running_stack import eventually

# Well below the 300 s that the step would take, whatever else the machine does.
SOON_S = 150
SLEEPY = """
actions: {down: {type: task, task: sleeping}}
tasks:
  sleeping: {flow: {nap: {type: script, script: "echo asleep; sleep 300; echo awake"}}}
  above: {flow: {call: {action: down}, last: {type: script, depends_on: [call], script: "true"}}}
"""


def detail(stack, job_id):
    return json.loads(stack.get(f"/api/jobs/{job_id}")[1])


def statuses(stack, job_id):
    return {step["step_name"]: step["status"] for step in detail(stack, job_id)["steps"]}


def test_a_step_that_runs_is_stopped_in_the_sub_job_where_it_runs(stack, tmp_path):
    (tmp_path / "tasks.yaml").write_text(SLEEPY)
    pushed = stack.stroem("workspace", "push", str(tmp_path), "--name", "sleepy")
    assert pushed.returncode == 0, pushed.stderr
    done = stack.stroem("trigger", "above", "-w", "sleepy", "-o", "json")
    job_id = json.loads(done.stdout)["job_id"]
    child = eventually(lambda: detail(stack, job_id)["steps"][0].get("child_job_id"))
    eventually(lambda: "asleep" in stack.stroem("logs", child).stdout)

    began = monotonic()
    assert stack.stroem("cancel", job_id).returncode == 0
    ends = {"call": "cancelled", "last": "cancelled"}
    eventually(lambda: statuses(stack, job_id) == ends, SOON_S)
    assert monotonic() - began < SOON_S
    assert statuses(stack, child) == {"nap": "cancelled"}
    assert detail(stack, child)["status"] == detail(stack, job_id)["status"] == "cancelled"
    assert "awake" not in stack.stroem("logs", child).stdout
