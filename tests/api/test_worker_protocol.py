"""The worker protocol: a whole job by HTTP, by our own worker and by an unmodified one."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from chalicelib.domain.lifecycle import StepStatus
from chalicelib.engine.advance import cancel
from chalicelib.engine.recovery import sweep
from tests.api.remote_workers import OwnWorker, PlainWorker
from tests.api.world import problem_in

AT = "2026-11-21T12:00:00.5Z"
NULLS = {
    "workspace": None,
    "job_id": None,
    "task_name": None,
    "step_name": None,
    "action_name": None,
    "action_type": None,
    "action_image": None,
    "action_spec": None,
    "input": None,
    "runner": None,
    "timeout_secs": None,
    "revision": None,
    "attempt": None,
    "lease": None,
    "idempotency_key": None,
    "secrets": None,
    "references": None,
    "watched": None,
}


EACH = """
actions:
  say: {type: script, script: echo}
tasks:
  each:
    flow:
      only: {action: say, for_each: [a, b]}
"""


def looped(world):
    """Create a job of one loop with two instances; return its id."""
    assert world.publish("loops", EACH).ok
    return world.execute("each", ws="loops")


@pytest.fixture(params=[OwnWorker, PlainWorker])
def worker(request, world):
    return request.param(world)


def test_a_whole_job_is_run_over_http(world, worker):
    job_id = world.execute()
    done = []
    while (claimed := worker.claim())["job_id"]:
        step = claimed["step_name"]
        line = {"ts": AT, "stream": "stdout", "line": f"in {step}"}
        assert worker.log(claimed, [line]).json_body == {"status": "ok"}
        output = {"id": "b-7"} if step == "build" else None
        answer = worker.complete(claimed, output=output, exit_code=0)
        assert answer.json_body == {"status": "ok", "next": None}
        done.append((step, claimed["action_spec"]["script"]))
    assert done[0] == ("build", "echo 1.2")
    assert sorted(done[1:]) == [("check", "echo b-7"), ("pack", "echo box")]
    job = world.get(f"/api/jobs/{job_id}").json_body
    assert [(s["step_name"], s["status"]) for s in job["steps"]] == [
        ("build", "completed"),
        ("check", "completed"),
        ("pack", "completed"),
    ]
    logs = world.get(f"/api/jobs/{job_id}/logs").json_body["logs"].splitlines()
    said = [json.loads(line) for line in logs]
    assert {line["line"] for line in said if line["step"] != "_server"} == {
        "in build",
        "in check",
        "in pack",
    }


def test_a_failing_step_is_tried_again_and_then_fails_its_job(world, worker):
    job_id = world.execute()
    worker.complete(worker.claim(), output={"id": 1})
    ended = []
    for _ in range(3):
        claimed = worker.claim()
        ended.append((claimed["step_name"], claimed["attempt"]))
        worker.complete(claimed, exit_code=1, output=None)
        world.clock.tick(10)
    assert sorted(ended) == [("check", 1), ("check", 2), ("pack", 1)]
    job = world.get(f"/api/jobs/{job_id}").json_body
    assert job["status"] == "failed"
    assert {s["error_message"] for s in job["steps"][1:]} == {"Process exited with code 1"}


def test_a_claim_tells_all_that_a_worker_needs(world):
    worker, job_id = world.worker(), world.execute()
    claimed = world.claim(worker)
    assert claimed == {
        "workspace": "shop",
        "job_id": job_id,
        "task_name": "ship",
        "step_name": "build",
        "action_name": "say",
        "action_type": "script",
        "action_image": None,
        "action_spec": {
            "script": "echo 1.2",
            "source": None,
            "language": "shell",
            "args": [],
            "env": {},
            "interpreter": None,
            "dependencies": [],
            "runner": "local",
        },
        "input": {
            "version": "1.2",
            "text": "1.2",
            "password": "letmein",
            "into": {"host": "db.example"},
        },
        "runner": "local",
        "timeout_secs": None,
        "revision": world.engine.registry.workspace("shop").revision,
        "attempt": 1,
        "lease": claimed["lease"],
        "idempotency_key": f"{job_id}/build",
        "secrets": ["abc", "hunter2-of-the-shop", "letmein"],
        "references": {},
        "watched": False,
    }


def test_a_claim_without_work_is_all_null(world):
    assert world.claim(world.worker()) == NULLS


def test_a_step_is_claimed_by_one_worker_only(world):
    first, second = world.worker("a"), world.worker("b")
    world.execute("one")
    assert world.claim(first)["step_name"] == "only"
    assert world.claim(second) == NULLS


def test_a_worker_of_another_kind_gets_nothing(world):
    world.execute("one")
    assert world.claim(world.worker(), capabilities=["docker"]) == NULLS


def test_messages_of_what_is_over_are_passed_by(world):
    for _ in range(3):
        world.post(f"/api/jobs/{world.execute('one')}/cancel")
    live = world.execute("one")
    assert world.claim(world.worker())["job_id"] == live


def test_a_step_whose_templates_fail_is_failed_and_said_to_be(world):
    job_id = world.execute("torn")
    body = {"worker_id": world.worker(), "capabilities": ["script"], "tags": []}
    problem = problem_in(world.post("/worker/jobs/claim", body), 422, "template-invalid")
    assert "torn" in problem["detail"]
    assert world.get(f"/api/jobs/{job_id}").json_body["status"] == "failed"


def test_an_unknown_session_gets_no_work(world):
    world.execute("one")
    body = {"worker_id": str(uuid4()), "capabilities": ["script"], "tags": []}
    problem_in(world.post("/worker/jobs/claim", body), 404, "not-found")
    assert world.claim(world.worker())["step_name"] == "only"


def test_asking_for_an_unknown_job_is_not_found(world):
    problem_in(world.get(f"/worker/jobs/{uuid4()}/cancelled"), 404, "not-found")
    problem_in(world.get("/worker/jobs/seven/cancelled"), 400, "invalid")


def test_a_repeated_report_is_harmless_and_another_lease_is_fenced(world):
    worker = OwnWorker(world)
    world.execute("one")
    claimed = worker.claim()
    problem_in(worker.complete({**claimed, "attempt": 2}, output=2), 409, "fenced")
    assert worker.complete(claimed, output=1).status_code == 200
    assert worker.complete(claimed, output=1).status_code == 200
    problem_in(worker.complete({**claimed, "lease": "other"}, output=2), 409, "fenced")
    job = world.get(f"/api/jobs/{claimed['job_id']}").json_body
    assert job["output"] == {"only": 1}


def test_a_report_of_a_plain_worker_that_comes_too_late_is_fenced(world):
    worker = PlainWorker(world)
    world.execute("one")
    claimed = worker.claim()
    world.clock.tick(120)
    sweep(world.engine)
    problem_in(worker.complete(claimed, output=1), 409, "fenced")
    job = world.get(f"/api/jobs/{claimed['job_id']}").json_body
    assert job["status"] == "failed"
    assert "Worker lost" in job["steps"][0]["error_message"]


def test_a_session_reports_only_what_it_holds(world):
    mine, other = OwnWorker(world), OwnWorker(world)
    world.execute("one")
    claimed = mine.claim()
    start = f"/worker/jobs/{claimed['job_id']}/steps/only/start"
    problem_in(world.post(start, {"worker_id": other.worker_id}), 409, "fenced")
    problem_in(world.complete(claimed, worker_id=other.worker_id), 409, "fenced")
    assert world.complete(claimed, worker_id=mine.worker_id).status_code == 200


@pytest.mark.parametrize("body", [{}, {"error": "x"}, {"attempt": 1, "lease": "l", "error": "x"}])
def test_a_report_of_what_never_began_is_fenced_or_not_found(world, body):
    job_id = world.execute("one")
    for step in ("only", "nope", "a%5B0%5D"):
        answer = world.post(f"/worker/jobs/{job_id}/steps/{step}/complete", body)
        problem_in(answer, 409, "fenced")
    answer = world.post(f"/worker/jobs/{uuid4()}/steps/only/complete", body)
    problem_in(answer, 404, "not-found")


def test_with_a_report_the_next_step_may_be_asked_for(world):
    worker = OwnWorker(world)
    job_id = world.execute()
    answer = worker.complete(worker.claim(), output={"id": "b-7"}, next=True).json_body
    claimed = answer["next"]
    assert (answer["status"], claimed["job_id"], claimed["step_name"]) == ("ok", job_id, "check")
    assert claimed["action_spec"]["script"] == "echo b-7"
    assert set(claimed) == set(NULLS)
    # Of two that became ready the other goes by the queue.
    assert worker.claim()["step_name"] == "pack"
    assert worker.complete(claimed, next=True).json_body == {"status": "ok", "next": None}


def test_without_a_session_no_next_step_is_given(world):
    world.execute()
    claimed = PlainWorker(world).claim()
    answer = world.complete(claimed, output={"id": 1}, next=True)
    assert answer.json_body == {"status": "ok", "next": None}
    assert world.claim(world.worker())["step_name"] in ("check", "pack")


def test_orders_name_what_must_stop_and_what_is_to_be_killed(world):
    worker = OwnWorker(world)
    job_id = world.execute("one")
    worker.claim()
    named = [{"job_id": job_id, "step_name": "only"}]
    body = {"worker_id": worker.worker_id, "running": named}
    said = {"status": "ok", "drain": False, "pools": None, "watched": []}
    nothing = {**said, "cancelled": [], "killed": []}
    assert world.post("/worker/orders", body).json_body == nothing
    cancel(world.engine, job_id)
    assert world.post("/worker/orders", body).json_body == {**nothing, "cancelled": named}
    cancel(world.engine, job_id, killed=True)
    both = {**nothing, "cancelled": named, "killed": named}
    assert world.post("/worker/orders", body).json_body == both
    assert world.post("/worker/heartbeat", body).json_body == {**both, "pools": ["script"]}


@pytest.mark.parametrize(
    "body", [{}, {"worker_id": "seven", "running": []}, {"worker_id": str(uuid4())}]
)
def test_a_question_for_orders_names_the_session_and_what_runs(world, body):
    problem_in(world.post("/worker/orders", body), 400, "invalid")


def test_instances_of_a_loop_are_run_over_http(world, worker):
    job_id = looped(world)
    done = []
    while (claimed := worker.claim())["job_id"]:
        line = {"ts": AT, "stream": "stdout", "line": f"in {claimed['step_name']}"}
        assert worker.log(claimed, [line]).status_code == 200
        assert worker.complete(claimed, output=1).status_code == 200
        done.append(claimed["step_name"])
    assert sorted(done) == ["only[0]", "only[1]"]
    assert world.get(f"/api/jobs/{job_id}").json_body["status"] == "completed"
    logs = world.get(f"/api/jobs/{job_id}/logs").json_body["logs"]
    assert all(f"in {step}" in logs for step in done)


@pytest.mark.parametrize("step", ["only[0]", "only%5B0%5D"])
def test_an_instance_is_found_whether_or_not_its_brackets_are_encoded(world, step):
    looped(world)
    claimed = world.claim(session := world.worker())
    assert claimed["step_name"] == "only[0]"
    path = f"/worker/jobs/{claimed['job_id']}/steps/{step}"
    assert world.post(f"{path}/start", {"worker_id": session}).status_code == 200
    assert world.post(f"{path}/complete", {"output": 1}).status_code == 200
    record = world.engine.jobs.load_steps(claimed["job_id"], ["only[0]"]).steps["only[0]"]
    assert record.status is StepStatus.COMPLETED


def test_a_cancelled_step_is_reported_as_such(world, worker):
    job_id = world.execute("one")
    claimed = worker.claim()
    world.post(f"/api/jobs/{job_id}/cancel")
    worker.complete(claimed, cancelled=True, error="cancelled")
    job = world.get(f"/api/jobs/{job_id}").json_body
    assert (job["status"], job["steps"][0]["status"]) == ("cancelled", "cancelled")


LANES = ("script_low", "script", "script-gpu", "script-gpu_high", "script-eu")


def lanes(world):
    """A job for each lane, its message moved there; return the lanes by job."""
    engine, found = world.engine, {}
    for lane in LANES:
        job_id = world.execute("one")
        engine.open_pool(lane)
        for received in engine.queue.receive("script", 0, 10):
            if received.message.ref.job_id == job_id:
                engine.queue.delete(received)
                engine.queue.send(lane, [(received.message, 0)])
        found[job_id] = lane
    return found


def test_an_unmodified_worker_gets_what_its_tags_cover_and_the_urgent_first(world):
    hello = {"name": "w", "capabilities": ["script"], "tags": ["gpu"], "exclusive": False}
    worker = world.post("/worker/register", hello).json_body["worker_id"]
    of_job = lanes(world)
    world.clock.tick(31)
    claimed = [world.claim(worker)["job_id"] for _ in range(5)]
    order = [of_job.get(job_id) for job_id in claimed]
    assert (order[0], order[3], order[4]) == ("script-gpu_high", "script_low", None)
    assert set(order[1:3]) == {"script", "script-gpu"}


@pytest.mark.parametrize(
    ("exclusive", "asked", "got"),
    [
        (False, ["script-gpu"], "script-gpu"),
        (False, ["script-eu"], None),
        (False, ["script-gpu-none"], None),
        (True, ["script", "script-gpu"], "script-gpu"),
        (True, ["script"], None),
    ],
)
def test_a_worker_that_names_pools_gets_work_of_those_that_fit_it(world, exclusive, asked, got):
    hello = {"name": "w", "capabilities": ["script"], "tags": ["gpu"], "exclusive": exclusive}
    registered = world.post("/worker/register", hello).json_body
    of_job = lanes(world)
    world.clock.tick(31)
    claimed = world.claim(registered["worker_id"], pools=asked)["job_id"]
    assert of_job.get(claimed) == got
