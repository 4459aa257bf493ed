"""What a job cost, over HTTP."""

import pytest

from tests.api.world import problem_in, run_one


def cost(world, job_id, query=""):
    return world.get(f"/api/jobs/{job_id}/cost{query}")


def test_a_job_of_one_step_costs_what_its_records_tell(world):
    job_id = run_one(world)
    body = cost(world, job_id).json_body
    assert body["job_id"] == job_id
    assert (body["status"], body["mode"], body["is_whole"]) == ("completed", "direct", True)
    assert body["prices"]["region"] == "us-east-1"
    assert [one["kind"] for one in body["kinds"]] == [
        "create",
        "send",
        "receive",
        "start",
        "claim",
        "complete",
        "finish",
        "archive",
    ]
    assert body["children"] == []
    assert body["usd"] == body["usd_whole"] == pytest.approx(sum(k["usd"] for k in body["kinds"]))
    assert body["usd"] == pytest.approx(sum(one["usd"] for one in body["meters"]))
    assert body["usd_per_million_jobs"] == pytest.approx(body["usd"] * 1e6, abs=0.01)


def test_workers_behind_the_api_cost_its_requests_too(world):
    job_id = run_one(world)
    direct, http = (cost(world, job_id, f"?mode={mode}").json_body for mode in ("direct", "http"))
    requests = [
        sum(one["units"] for one in body["meters"] if one["meter"] == "api_requests")
        for body in (direct, http)
    ]
    assert requests == [1, 3]
    assert http["usd"] > direct["usd"]


def test_a_job_that_nobody_has_begun_has_cost_its_creation(world):
    body = cost(world, world.execute("one")).json_body
    assert {one["kind"] for one in body["kinds"]} <= {"create", "send"}


def test_a_job_that_does_not_exist_has_no_cost(world):
    absent = "0192f1c8-0000-7000-8000-000000000001"
    problem_in(cost(world, absent), 404, "not-found")


def test_a_mode_that_there_is_not_is_refused(world):
    assert cost(world, run_one(world), "?mode=by-post").status_code == 400
