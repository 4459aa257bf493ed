"""Triggers over the API: run by hand, stopped, let go on, filled in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.triggers.ticks import on_tick
from tests.api.world import problem_in, run_one

NIGHTLY = "/api/workspaces/shop/triggers/nightly"
HOURLY = """
actions:
  say: {type: script, script: "true"}
tasks:
  one:
    flow:
      only: {action: say}
triggers:
  hourly: {type: scheduler, cron: "0 * * * *", task: one}
  push: {type: webhook, name: by-hours, task: one, secret: a-secret-of-mine}
"""
PATH = "/api/workspaces/hours/triggers/hourly"
BACKFILLS = "/api/workspaces/hours/backfills"
FROM, TO = "2026-11-21T00:30:00Z", "2026-11-21T10:00:00+00:00"


@pytest.fixture
def hours(world):
    assert world.publish("hours", HOURLY).ok
    return world


def fill(world, **body):
    given = {"from": FROM, "to": TO, **body}
    return world.post(f"{PATH}/backfill", given)


def jobs_of(world, ws="hours"):
    return world.get(f"/api/jobs?workspace={ws}&limit=200").json_body["items"]


def test_a_trigger_runs_now_with_its_input(world):
    answer = world.post(f"{NIGHTLY}/run", Idempotency_Key="k")
    job_id = answer.json_body["job_id"]
    again = world.post(f"{NIGHTLY}/run", Idempotency_Key="k")
    assert again.json_body["job_id"] == job_id
    found = world.get(f"/api/jobs/{job_id}").json_body
    assert (found["source_type"], found["source_id"]) == ("trigger", "shop/nightly")
    assert found["input"]["version"] == "night"


def test_a_trigger_is_stopped_and_let_go_on(world):
    for verb, state in {
        "pause": {"enabled": True, "paused": True},
        "disable": {"enabled": False, "paused": True},
        "resume": {"enabled": False, "paused": False},
        "enable": {"enabled": True, "paused": False},
    }.items():
        answer = world.post(f"{NIGHTLY}/{verb}")
        assert answer.json_body == {"name": "nightly", **state}
        shown = world.get(NIGHTLY).json_body
        assert {key: shown[key] for key in state} == state
        assert bool(shown["next_runs"]) is (state == {"enabled": True, "paused": False})


def test_as_many_next_runs_are_told_as_asked_for(world):
    runs = world.get(f"{NIGHTLY}?count=7").json_body["next_runs"]
    assert (len(runs), runs[0]) == (7, "2026-11-22T02:00:00.000000Z")


def test_why_a_run_could_not_be_made_is_told(world):
    bad = HOURLY.replace("task: one}", "task: one, input: {n: x}}", 1)
    bad = bad.replace("  one:\n", "  one:\n    input: {n: {type: integer}}\n")
    world.publish("hours", bad)
    world.clock.tick(hours=1)
    on_tick(world.engine, world.clock.tick)
    shown = world.get(PATH).json_body
    assert "n: must be a whole number" in shown["error"]
    assert shown["error_at"] == "2026-11-21T13:00:00.000000Z"


@pytest.mark.parametrize("verb", ["run", "pause", "resume", "enable", "disable", "backfill"])
def test_an_unknown_trigger_is_not_found(world, verb):
    body = {"from": FROM, "to": TO} if verb == "backfill" else None
    for path in ("shop/triggers/nope", "nope/triggers/nightly"):
        problem_in(world.post(f"/api/workspaces/{path}/{verb}", body), 404, "not-found")


def test_a_webhook_that_is_paused_or_disabled_takes_no_calls(hours):
    path = "/api/workspaces/hours/triggers/push"
    assert hours.post("/hooks/by-hours?secret=a-secret-of-mine").status_code == 200
    hours.post(f"{path}/pause")
    problem_in(hours.post("/hooks/by-hours?secret=a-secret-of-mine"), 409, "conflict")
    hours.post(f"{path}/disable")
    problem_in(hours.post("/hooks/by-hours?secret=a-secret-of-mine"), 404, "not-found")
    hours.post(f"{path}/enable")
    hours.post(f"{path}/resume")
    assert hours.post("/hooks/by-hours?secret=a-secret-of-mine").status_code == 200


# backfills


def test_a_preview_tells_the_times_and_makes_nothing(hours):
    answer = fill(hours, preview=True).json_body
    assert answer["total"] == 10
    assert answer["times"][0] == {"at": "2026-11-21T01:00:00.000000Z", "exists": False}
    assert len(answer["times"]) == 10
    assert jobs_of(hours) == []
    assert hours.get(BACKFILLS).json_body == []


def run_all(world, most=100):
    """Run jobs one after another with a tick in between; return the most that ran at once."""
    worker, widest = world.worker(), 0
    for _ in range(most):
        claims = []
        while (claimed := world.claim(worker)) and claimed.get("job_id"):
            claims.append(claimed)
        widest = max(widest, len(claims))
        for claimed in claims:
            world.complete(claimed, output={})
        world.clock.tick(seconds=30)
        on_tick(world.engine, world.clock.tick)
        if not claims:
            break
    return widest


def test_a_backfill_runs_each_time_once_and_no_more_than_so_many_at_a_time(hours):
    begun = fill(hours, max_parallel=2).json_body["backfill"]
    path = f"{BACKFILLS}/{begun['backfill_id']}"
    assert (begun["status"], begun["made"], begun["running"]) == ("running", 7, 2)
    assert run_all(hours) == 2
    ended = hours.get(path).json_body
    assert (ended["status"], ended["made"], ended["existing"]) == ("completed", 10, 0)
    assert {job["status"] for job in jobs_of(hours)} == {"completed"}
    assert len(jobs_of(hours)) == 10
    again = fill(hours, max_parallel=2).json_body["backfill"]
    assert (again["made"], again["existing"]) == (0, 10)
    assert len(jobs_of(hours)) == 10
    assert [one["backfill_id"] for one in hours.get(BACKFILLS).json_body] == [
        again["backfill_id"],
        begun["backfill_id"],
    ]
    assert {one["exists"] for one in fill(hours, preview=True).json_body["times"]} == {True}


def test_a_backfill_that_is_cancelled_makes_no_more_and_ends_what_it_made(hours):
    begun = fill(hours).json_body["backfill"]
    path = f"{BACKFILLS}/{begun['backfill_id']}"
    assert hours.post(f"{path}/cancel").json_body["status"] == "cancelled"
    assert hours.post(f"{path}/cancel").json_body["status"] == "cancelled"
    run_all(hours)
    assert {job["status"] for job in jobs_of(hours)} == {"cancelled"}
    assert len(jobs_of(hours)) == begun["made"] == 6


def test_a_backfill_whose_trigger_is_gone_fails_and_says_so(hours):
    begun = fill(hours).json_body["backfill"]
    assert hours.publish("hours", HOURLY.replace("hourly:", "other:")).ok
    run_all(hours)
    run_all(hours)
    ended = hours.get(f"{BACKFILLS}/{begun['backfill_id']}").json_body
    assert ended["status"] == "failed"
    assert "has no trigger 'hourly'" in ended["error"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"from": "yesterday"}, "write a time with its offset"),
        ({"from": "2026-11-21T00:30:00"}, "write a time with its offset"),
        ({"from": TO, "to": FROM}, "`from` is later than `to`"),
        ({"to": "2026-12-01T00:00:00Z"}, "`to` lies ahead"),
        ({"from": "2020-01-01T00:00:00Z"}, "more than 10,000 times"),
        ({"max_parallel": 0}, "max_parallel"),
        ({"max_parallel": 51}, "max_parallel"),
        ({"until": TO}, "/until"),
    ],
)
def test_a_backfill_of_nonsense_is_refused(hours, body, why):
    assert why in problem_in(fill(hours, **body), 400, "invalid")["detail"]
    assert hours.get(BACKFILLS).json_body == []


def test_only_a_schedule_can_be_filled_in(hours):
    path = "/api/workspaces/hours/triggers/push/backfill"
    answer = hours.post(path, {"from": FROM, "to": TO})
    assert "is no schedule" in problem_in(answer, 400, "invalid")["detail"]


def test_an_unknown_backfill_is_not_found(hours):
    unknown = "01900000-0000-7000-8000-000000000000"
    problem_in(hours.get(f"{BACKFILLS}/{unknown}"), 404, "not-found")
    problem_in(hours.post(f"{BACKFILLS}/{unknown}/cancel"), 404, "not-found")
    problem_in(hours.get(f"{BACKFILLS}/no-id"), 400, "invalid")
    problem_in(hours.get("/api/workspaces/nope/backfills"), 404, "not-found")


def test_a_schedule_that_fires_makes_jobs_that_run(hours):
    run_one(hours)
    hours.clock.tick(minutes=59, seconds=30)
    on_tick(hours.engine, hours.clock.tick)
    hours.clock.tick(seconds=timedelta(minutes=1).total_seconds())
    claimed = hours.claim(hours.worker())
    assert claimed["job_id"]
    assert hours.complete(claimed, output={}).status_code == 200
    (job,) = jobs_of(hours)
    assert (job["status"], job["source_id"]) == ("completed", "hours/hourly")
