"""Whole flows by HTTP: what their jobs show of conditions, loops, sub-jobs, hooks and logs."""

from __future__ import annotations

import json

import pytest

from tests.api.world import problem_in

AT = "2026-11-21T12:00:00.5Z"
FLOWS = """
on_error: [{action: say}]
actions:
  say: {type: script, script: echo}
  down: {type: task, task: below}
tasks:
  asked:
    input: {go: {type: string, default: "yes"}}
    flow:
      root: {action: say, when: "{{ input.go == 'yes' }}"}
      call: {action: down, when: "{{ input.go == 'call' }}"}
      each: {action: say, depends_on: [root], for_each: "{{ [1, 2] | json_encode() }}"}
  family:
    flow:
      call: {action: down}
  below:
    flow:
      work: {action: say}
  many:
    flow:
      a: {action: say}
      b: {action: say}
      c: {action: say, depends_on: [a]}
"""


@pytest.fixture
def flows(world):
    assert world.publish("flows", FLOWS).ok
    return world


def shown(world, job_id):
    job = world.get(f"/api/jobs/{job_id}").json_body
    return {step["step_name"]: step for step in job["steps"]}


@pytest.mark.parametrize(
    ("go", "root", "call"), [("yes", "ready", "skipped"), ("no", "skipped", "skipped")]
)
def test_a_root_with_a_condition_is_decided_when_its_job_is_made(flows, go, root, call):
    job_id = flows.execute("asked", ws="flows", given={"go": go})
    steps = shown(flows, job_id)
    assert (steps["root"]["status"], steps["call"]["status"]) == (root, call)


def test_a_task_step_whose_condition_is_false_makes_no_sub_job(flows):
    flows.execute("asked", ws="flows", given={"go": "no"})
    assert flows.get("/api/jobs?workspace=flows&source_type=task").json_body["items"] == []
    flows.execute("asked", ws="flows", given={"go": "call"})
    found = flows.get("/api/jobs?workspace=flows&source_type=task").json_body["items"]
    assert [job["task_name"] for job in found] == ["below"]


def test_the_detail_shows_conditions_and_what_loops_go_over(flows):
    steps = shown(flows, flows.execute("asked", ws="flows"))
    assert steps["root"]["when_condition"] == "{{ input.go == 'yes' }}"
    assert steps["each"]["for_each_expr"] == "{{ [1, 2] | json_encode() }}"


def test_sub_jobs_and_hooks_run_the_revision_of_their_job_and_show_it(flows):
    job_id = flows.execute("family", ws="flows")
    before = flows.get(f"/api/jobs/{job_id}").json_body["revision"]
    assert flows.publish("flows", FLOWS + "  more: {flow: {a: {action: say}}}\n").ok
    flows.complete(flows.claim(flows.worker()), error="no")
    found = flows.get("/api/jobs?workspace=flows&limit=10").json_body["items"]
    assert sorted(job["source_type"] for job in found) == ["api", "hook", "task"]
    details = [flows.get(f"/api/jobs/{job['job_id']}").json_body for job in found]
    assert {job["revision"] for job in (*found, *details)} == {before}
    later = flows.get(f"/api/jobs/{flows.execute('family', ws='flows')}").json_body
    assert later["revision"] != before


def test_a_worker_with_several_capabilities_gets_what_it_can_run(flows):
    job_id = flows.execute("below", ws="flows")
    hello = {"name": "w", "capabilities": ["docker", "script"], "tags": [], "exclusive": False}
    worker = flows.post("/worker/register", hello).json_body["worker_id"]
    claimed = flows.claim(worker, capabilities=["docker", "script"])
    assert (claimed["job_id"], claimed["step_name"]) == (job_id, "work")


def test_a_step_of_a_task_is_no_workers_to_claim(flows):
    job_id = flows.execute("family", ws="flows")
    worker = flows.worker()
    claimed = flows.claim(worker)
    assert (claimed["task_name"], claimed["step_name"]) == ("below", "work")
    assert flows.claim(worker)["job_id"] is None
    answer = flows.post(f"/worker/jobs/{job_id}/steps/call/start", {"worker_id": worker})
    problem_in(answer, 409, "fenced")


def test_the_output_of_a_job_has_each_last_step_that_printed_one(flows):
    job_id, worker = flows.execute("many", ws="flows"), flows.worker()
    outputs = {"a": {"n": 1}, "b": {"n": 2}, "c": None}
    while (claimed := flows.claim(worker))["job_id"]:
        flows.complete(claimed, output=outputs[claimed["step_name"]])
    assert flows.get(f"/api/jobs/{job_id}").json_body["output"] == {"b": {"n": 2}}


def test_the_log_of_a_failed_job_keeps_both_streams_and_says_how_it_ended(flows):
    job_id = flows.execute("below", ws="flows")
    claimed = flows.claim(flows.worker())
    lines = [{"ts": AT, "stream": name, "line": f"on {name}"} for name in ("stdout", "stderr")]
    body = {"step_name": "work", "lines": lines, "attempt": 1, "lease": claimed["lease"]}
    assert flows.post(f"/worker/jobs/{job_id}/logs", {**body, "first": 1}).status_code == 200
    flows.complete(claimed, exit_code=3)
    log = flows.get(f"/api/jobs/{job_id}/logs").json_body["logs"].splitlines()
    said = [json.loads(line) for line in log]
    assert [(one["stream"], one["line"]) for one in said if one["step"] == "work"] == [
        ("stdout", "on stdout"),
        ("stderr", "on stderr"),
    ]
    told = [one["line"] for one in said if one["step"] == "_server"]
    assert "Step 'work' failed: Process exited with code 3" in told
    assert "Job failed" in told
