"""Sessions of workers: registration, heartbeat, end, and how people see them."""

from __future__ import annotations

from uuid import uuid4

from tests.api.world import problem_in


def test_a_registration_is_a_session_that_people_see(world):
    body = {
        "name": "big",
        "capabilities": ["script", "docker"],
        "tags": ["gpu"],
        "exclusive": True,
        "version": "9",
    }
    answer = world.post("/worker/register", body).json_body
    worker_id = answer["worker_id"]
    assert answer == {
        "worker_id": worker_id,
        "heartbeat_s": 20,
        "pools": [],
    }
    row = {
        "worker_id": worker_id,
        "name": "big",
        "status": "active",
        "capabilities": ["script", "docker"],
        "tags": ["gpu"],
        "version": "9",
        "last_heartbeat": "2026-11-21T12:00:00.000000Z",
        "registered_at": "2026-11-21T12:00:00.000000Z",
    }
    assert world.get("/api/workers").json_body == {"items": [row], "total": 1}
    assert world.get(f"/api/workers/{worker_id}").json_body == {
        **row,
        "steps": {"items": [], "total": 0},
    }


def test_a_worker_without_a_capability_is_refused(world):
    body = {"name": "w", "capabilities": [], "tags": [], "exclusive": False}
    problem_in(world.post("/worker/register", body), 400, "invalid")


def test_the_list_of_workers_is_paged_newest_first(world):
    for number in range(3):
        world.worker(f"w{number}")
        world.clock.tick(1)
    page = world.get("/api/workers?limit=1&offset=1").json_body
    assert ([w["name"] for w in page["items"]], page["total"]) == (["w1"], 3)


def test_a_worker_that_fell_silent_is_shown_so_before_the_sweep_knows(world):
    worker = world.worker()
    world.clock.tick(61)
    assert world.get(f"/api/workers/{worker}").json_body["status"] == "inactive"
    world.post("/worker/heartbeat", {"worker_id": worker})
    assert world.get(f"/api/workers/{worker}").json_body["status"] == "active"


def test_an_unknown_worker_is_not_found(world):
    problem_in(world.get(f"/api/workers/{uuid4()}"), 404, "not-found")
    problem_in(world.get("/api/workers/nobody"), 400, "invalid")


def test_a_heartbeat_answers_with_what_was_cancelled(world):
    worker = world.worker()
    kept, stopped = world.execute("one"), world.execute("one")
    running = [
        {"job_id": claimed["job_id"], "step_name": "only"}
        for claimed in (world.claim(worker), world.claim(worker))
    ]
    world.post(f"/api/jobs/{stopped}/cancel")
    answer = world.post("/worker/heartbeat", {"worker_id": worker, "running": running})
    assert answer.json_body == {
        "status": "ok",
        "cancelled": [{"job_id": stopped, "step_name": "only"}],
        "killed": [],
        "drain": False,
        "pools": ["script"],
        "watched": [],
    }
    for job_id, cancelled in ((kept, False), (stopped, True)):
        asked = world.get(f"/worker/jobs/{job_id}/cancelled").json_body
        assert asked == {"cancelled": cancelled}
    steps = world.get(f"/api/workers/{worker}").json_body["steps"]
    assert steps["total"] == 2
    assert {
        "job_id": kept,
        "workspace": "shop",
        "task_name": "one",
        "step_name": "only",
        "status": "running",
        "started_at": "2026-11-21T12:00:00.000000Z",
        "completed_at": None,
    } in steps["items"]


def test_a_heartbeat_of_nobody_is_not_found(world):
    problem_in(world.post("/worker/heartbeat", {"worker_id": str(uuid4())}), 404, "not-found")


def test_a_worker_signs_off(world):
    worker = world.worker()
    assert world.post("/worker/sign-off", {"worker_id": worker}).json_body == {"status": "ok"}
    assert world.get(f"/api/workers/{worker}").json_body["status"] == "inactive"
    problem_in(world.post("/worker/sign-off", {"worker_id": str(uuid4())}), 404, "not-found")
