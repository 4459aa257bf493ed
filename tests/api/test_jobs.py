"""Jobs as people see them: detail, secrets, cancel."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from chalicelib.domain.job import Note, Parent
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import Priority
from tests.api.world import SECRET, a_row, problem_in, run_one

NOON = "2026-11-21T12:00:00.000000Z"
NOTHING = {
    "worker_id": None,
    "started_at": None,
    "completed_at": None,
    "suspended_at": None,
    "error_message": None,
    "when_condition": None,
    "for_each_expr": None,
    "loop_source": None,
    "loop_index": None,
    "loop_total": None,
    "output": None,
    "retry_attempt": 0,
    "max_retries": None,
    "retry_history": [],
    "retry_at": None,
    "action_name": "say",
    "action_type": "script",
    "action_image": None,
    "runner": "local",
}


def test_a_new_job_is_shown_whole(world):
    job_id = world.execute()
    assert world.get(f"/api/jobs/{job_id}").json_body == {
        **a_row(world, job_id),
        "input": {"version": "1.2", "password": "********", "into": "main"},
        "raw_input": {"version": "1.2", "password": "********", "into": "main"},
        "output": None,
        "worker_id": None,
        "parent_job_id": None,
        "parent_step_name": None,
        "rerun_job_ids": [],
        "reason": None,
        "notes": [],
        "steps": [
            {
                **NOTHING,
                "step_name": "build",
                "status": "ready",
                "depends_on": [],
                "input": {"text": "{{ input.version }}"},
            },
            {
                **NOTHING,
                "step_name": "check",
                "status": "pending",
                "depends_on": ["build"],
                "input": {"text": "{{ build.output.id }}"},
                "max_retries": 1,
            },
            {
                **NOTHING,
                "step_name": "pack",
                "status": "pending",
                "depends_on": ["build"],
                "input": {"text": "box"},
            },
        ],
        "layout": {"layers": [["build"], ["check", "pack"]]},
    }


def test_steps_show_what_their_records_say_and_what_follows_from_the_flow(world):
    job_id, worker = world.execute(), world.worker()
    world.complete(world.claim(worker), output={"id": 7})
    world.clock.tick(1)
    check = world.claim(worker)
    world.clock.tick(1)
    world.complete(check, error="no luck", attempt=1, lease=check["lease"])
    steps = {
        step["step_name"]: step for step in world.get(f"/api/jobs/{job_id}").json_body["steps"]
    }
    assert steps["build"]["output"] == {"id": 7}
    assert steps["build"]["worker_id"] == worker
    assert steps["check"] == {
        **NOTHING,
        "step_name": "check",
        "status": "ready",
        "waits_for": "its time: attempt 2 begins at 2026-11-21T12:00:07.000000Z",
        "depends_on": ["build"],
        "input": {"text": "7"},
        "retry_attempt": 1,
        "max_retries": 1,
        "retry_at": "2026-11-21T12:00:07.000000Z",
        "retry_history": [
            {
                "attempt": 1,
                "error": "no luck",
                "started_at": "2026-11-21T12:00:01.000000Z",
                "failed_at": "2026-11-21T12:00:02.000000Z",
            }
        ],
    }
    assert steps["pack"]["status"] == "ready"


def test_the_output_of_a_completed_job_is_that_of_its_last_steps(world):
    job_id, worker = world.execute(), world.worker()
    world.complete(world.claim(worker), output={"id": 7})
    for _ in range(2):
        claimed = world.claim(worker)
        world.complete(claimed, output={"of": claimed["step_name"]})
    job = world.get(f"/api/jobs/{job_id}").json_body
    assert job["status"] == "completed"
    assert job["output"] == {"check": {"of": "check"}, "pack": {"of": "pack"}}


def test_without_outputs_the_output_of_a_job_is_null(world):
    assert world.get(f"/api/jobs/{run_one(world)}").json_body["output"] is None


def test_a_failed_job_says_which_step_failed_and_why_and_has_no_output(world):
    job = world.get(f"/api/jobs/{run_one(world, exit_code=3, output={'a': 1})}").json_body
    assert (job["status"], job["output"]) == ("failed", None)
    assert job["steps"][0]["status"] == "failed"
    assert job["steps"][0]["error_message"] == "Process exited with code 3"


def test_no_secret_of_the_workspace_is_shown_wherever_it_got_to(world):
    job_id = run_one(world, output={"deep": [{SECRET: f"is {SECRET}!"}], "kept": "abc", "n": 1})
    body = world.get(f"/api/jobs/{job_id}")
    assert SECRET.encode() not in body.body
    assert body.json_body["output"]["only"] == {
        "deep": [{"••••••": "is ••••••!"}],
        "kept": "abc",  # three characters are too few to be told from any others
        "n": 1,
    }


def test_no_secret_is_shown_in_errors_and_past_attempts(world):
    job_id, worker = world.execute(), world.worker()
    world.complete(world.claim(worker), output={"id": 7})
    for _ in range(2):
        world.complete(world.claim(worker), error=f"bad {SECRET}")
        world.clock.tick(10)
    world.complete(world.claim(worker), error=f"bad {SECRET}")
    body = world.get(f"/api/jobs/{job_id}")
    assert SECRET.encode() not in body.body
    assert body.body.decode().count("bad ••••••") == 3
    assert SECRET.encode() not in world.get(f"/api/jobs/{job_id}/logs").body


def test_no_secret_input_of_the_job_itself_is_shown(world):
    world.execute(given={"version": "1", "password": "open sesame"})
    claimed = world.claim(world.worker())
    assert claimed["input"]["password"] == "open sesame"
    world.complete(claimed, output="it was open sesame")
    body = world.get(f"/api/jobs/{claimed['job_id']}").json_body
    assert body["steps"][0]["output"] == "it was ••••••"
    assert body["input"]["password"] == "********"


@pytest.mark.parametrize("path", ["", "/logs", "/steps/build/logs"])
def test_an_unknown_job_is_not_found(world, path):
    job_id = str(uuid4())
    answer = world.get(f"/api/jobs/{job_id}{path}")
    assert problem_in(answer, 404, "not-found") == {"detail": f"there is no job {job_id}"}


@pytest.mark.parametrize("bad", ["7", "..", "%00", "a" * 36, "0190-job", "{" + str(uuid4()) + "}"])
def test_what_is_no_job_id_is_refused(world, bad):
    assert (
        "is not the id of a job"
        in problem_in(world.get(f"/api/jobs/{bad}"), 400, "invalid")["detail"]
    )


def test_a_job_id_is_the_same_in_capitals(world):
    job_id = world.execute()
    assert world.get(f"/api/jobs/{job_id.upper()}").json_body["job_id"] == job_id


def test_cancel_ends_a_job_once(world):
    job_id = world.execute()
    assert world.post(f"/api/jobs/{job_id}/cancel").json_body == {"status": "cancelled"}
    again = world.post(f"/api/jobs/{job_id}/cancel")
    assert "has ended already" in problem_in(again, 409, "conflict")["detail"]
    job = world.get(f"/api/jobs/{job_id}").json_body
    assert job["status"] == "cancelled"
    assert {step["status"] for step in job["steps"]} == {"cancelled"}


def test_cancelling_an_unknown_job_is_not_found(world):
    problem_in(world.post(f"/api/jobs/{uuid4()}/cancel"), 404, "not-found")


def test_what_a_job_descends_from_and_what_came_of_it_is_shown(world):
    first = world.execute("one")
    given = world.engine.jobs.get(first)
    at = world.clock.now()
    job = replace(
        given,
        job_id=str(uuid4()),
        parent=Parent(StepRef(first, "call"), 1),
        depth=2,
        retry_of=first,
        retry_attempt=1,
        source_job=first,
        restart_from="only",
        reruns=frozenset({"b", "a"}),
        reason=f"stopped for {SECRET}",
        paused=True,
        priority=Priority.HIGH,
        start_at=at,
        deadline=at,
    )
    world.engine.jobs.create(job)
    world.engine.jobs.tell(job.job_id, Note("k", at, f"told of {SECRET}"))
    shown = world.get(f"/api/jobs/{job.job_id}").json_body
    expected = {
        "parent_job_id": first,
        "parent_step_name": "call",
        "depth": 2,
        "retry_of_job_id": first,
        "retry_attempt": 1,
        "source_job_id": first,
        "restart_from_step": "only",
        "rerun_job_ids": ["a", "b"],
        "reason": "stopped for ••••••",
        "paused": True,
        "killed": False,
        "priority": "high",
        "start_at": NOON,
        "deadline": NOON,
        "notes": [{"at": NOON, "text": "told of ••••••"}],
    }
    assert {name: shown[name] for name in expected} == expected


def test_a_list_tells_how_often_a_task_is_tried_of_jobs_that_were_tried_again(world):
    text = 'tasks: {t: {retry: {max_attempts: 3}, flow: {s: {type: script, script: "true"}}}}'
    assert world.publish(text=text).ok
    job_id = world.execute("t")
    assert world.get(f"/api/jobs/{job_id}").json_body["max_retries"] == 2
    again = replace(world.engine.jobs.get(job_id), job_id=str(uuid4()), retry_of=job_id)
    world.engine.jobs.create(again)
    rows = world.get("/api/jobs").json_body["items"]
    found = {row["job_id"]: (row["retry_of_job_id"], row["max_retries"]) for row in rows}
    assert found == {job_id: (None, None), again.job_id: (job_id, 2)}


def test_who_starts_a_job_to_follow_it_has_it_watched_from_the_start(world):
    def started(**body):
        path = "/api/workspaces/shop/tasks/one/execute"
        return world.engine.jobs.get(world.post(path, body).json_body["job_id"])

    assert started(watch=True).is_watched(world.clock.now())
    assert not started().is_watched(world.clock.now())
