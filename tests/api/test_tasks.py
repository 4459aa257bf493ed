"""Tasks and triggers, and the making of jobs."""

from __future__ import annotations

import pytest

from tests.api.world import SHOP, problem_in

SHIP = {
    "id": "ship",
    "name": "Ship it",
    "description": "Builds and ships",
    "mode": "distributed",
    "folder": "ops",
    "can_execute": True,
}
NIGHTLY = {
    "name": "nightly",
    "type": "scheduler",
    "cron": "0 2 * * *",
    "timezone": "UTC",
    "concurrency": "allow",
    "on_missed": "skip",
    "task": "ship",
    "enabled": True,
    "paused": False,
    "input": {"version": "night"},
    "next_runs": [f"2026-11-{day}T02:00:00.000000Z" for day in range(22, 27)],
}
A_FIELD = {
    "type": "string",
    "required": False,
    "secret": False,
    "options": [],
    "allow_custom": False,
    "multiple": False,
}
A_STEP = {
    "action": "say",
    "action_type": "script",
    "depends_on": ["build"],
    "continue_on_failure": False,
    "sequential": False,
}


def rows(workspace):
    bare = {"mode": "distributed", "workspace": workspace, "can_execute": True}
    return [
        {**SHIP, "workspace": workspace, "has_triggers": True},
        {"id": "one", **bare, "has_triggers": True},
        {"id": "torn", **bare, "has_triggers": False},
        {"id": "gate", **bare, "has_triggers": False},
    ]


def test_the_tasks_of_a_workspace_are_listed(world):
    assert world.get("/api/workspaces/shop/tasks").json_body == rows("shop")


def test_the_tasks_of_all_workspaces_are_listed(world):
    world.publish("attic")
    world.publish("broken", "tasks: 7")
    assert world.get("/api/tasks").json_body == rows("attic") + rows("shop")


def test_a_task_is_shown_whole(world):
    assert world.get("/api/workspaces/shop/tasks/ship").json_body == {
        **SHIP,
        "workspace": "shop",
        "revision": world.engine.registry.workspace("shop").revision,
        "input": {
            "version": {**A_FIELD, "required": True},
            "password": {**A_FIELD, "secret": True, "default": "********"},
            "into": {**A_FIELD, "type": "db", "default": "main"},
        },
        "flow": {
            "build": {**A_STEP, "depends_on": [], "input": {"text": "{{ input.version }}"}},
            "check": {
                **A_STEP,
                "input": {"text": "{{ build.output.id }}"},
                "timeout": 60,
                "retry": {"max_attempts": 2, "delay_s": 5, "backoff": "fixed", "jitter": False},
            },
            "pack": {**A_STEP, "input": {"text": "box"}, "continue_on_failure": True},
        },
        "triggers": [NIGHTLY],
        "connections": {"db": ["main"]},
        "unsupported": [],
        "paused": False,
        "layout": {"layers": [["build"], ["check", "pack"]]},
    }


def test_a_task_says_what_keeps_it_from_running(world):
    found = world.get("/api/workspaces/shop/tasks/gate").json_body
    assert found["unsupported"] == ["step 'ask' is of type docker, which is not executed yet"]


@pytest.mark.parametrize("path", ["nope", "nope/tasks", "%2e%2e", "a b"])
def test_the_triggers_and_tasks_of_an_unknown_workspace_are_not_found(world, path):
    name = path.split("/")[0]
    for route in ("tasks", "triggers", "tasks/ship"):
        problem_in(world.get(f"/api/workspaces/{name}/{route}"), 404, "not-found")


def test_an_unknown_task_is_not_found(world):
    problem = problem_in(world.get("/api/workspaces/shop/tasks/nope"), 404, "not-found")
    assert problem == {"detail": "workspace 'shop' has no task 'nope'"}


def test_triggers_are_listed_with_the_next_runs_of_those_that_are_on(world):
    assert world.get("/api/workspaces/shop/triggers").json_body == [
        NIGHTLY,
        {
            "name": "off",
            "type": "scheduler",
            "cron": "0 3 * * *",
            "timezone": "Europe/Paris",
            "concurrency": "allow",
            "on_missed": "skip",
            "task": "one",
            "enabled": False,
            "paused": False,
            "input": {},
            "next_runs": [],
        },
        {
            "name": "push",
            "type": "webhook",
            "task": "one",
            "enabled": True,
            "paused": False,
            "input": {},
            "next_runs": [],
        },
    ]


def test_execute_makes_a_job_and_says_which(world):
    path = "/api/workspaces/shop/tasks/ship/execute"
    answer = world.post(path, {"input": {"version": "2"}, "more": "is ignored"})
    assert answer.status_code == 200
    job_id = answer.json_body.pop("job_id")
    assert answer.json_body.keys() == {"job_id"}
    assert world.get(f"/api/jobs/{job_id}").json_body["input"]["version"] == "2"


def test_execute_without_a_body_runs_the_task_on_its_defaults(world):
    assert world.post("/api/workspaces/shop/tasks/one/execute", b"").status_code == 200


def test_execute_of_what_is_not_there_is_not_found(world):
    for path in ("nope/tasks/one", "shop/tasks/nope", "%20/tasks/one"):
        problem_in(world.post(f"/api/workspaces/{path}/execute"), 404, "not-found")


def test_execute_says_which_inputs_do_not_fit(world):
    answer = world.post(
        "/api/workspaces/shop/tasks/ship/execute", {"input": {"password": 7, "into": "nowhere"}}
    )
    problem = problem_in(answer, 400, "invalid")
    assert {error["pointer"] for error in problem["errors"]} == {"/version", "/password", "/into"}


def test_execute_refuses_a_task_that_cannot_run_yet(world):
    answer = world.post("/api/workspaces/shop/tasks/gate/execute")
    assert "docker" in problem_in(answer, 400, "invalid")["detail"]


def test_execute_in_a_workspace_that_never_loaded_says_why(world):
    world.publish("broken", "tasks: 7")
    answer = world.post("/api/workspaces/broken/tasks/one/execute")
    assert "has no valid revision yet" in problem_in(answer, 400, "invalid")["detail"]


def test_the_same_idempotency_key_makes_one_job(world):
    first = world.execute(Idempotency_Key="k-1")
    assert world.execute(Idempotency_Key="k-1") == first
    assert world.execute(Idempotency_Key="k-2") != first
    assert world.get("/api/jobs").json_body["total"] == 2


@pytest.mark.parametrize(("task", "given"), [("ship", {"version": "3"}), ("one", {})])
def test_the_same_idempotency_key_for_something_else_is_refused(world, task, given):
    world.execute(Idempotency_Key="k-1")
    path = f"/api/workspaces/shop/tasks/{task}/execute"
    answer = world.post(path, {"input": given}, Idempotency_Key="k-1")
    problem_in(answer, 422, "idempotency-mismatch")


def test_the_same_idempotency_key_in_another_workspace_is_another(world):
    world.publish("other")
    assert world.execute(Idempotency_Key="k") != world.execute(ws="other", Idempotency_Key="k")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_of_no_use_is_refused(world, key):
    path = "/api/workspaces/shop/tasks/one/execute"
    problem_in(world.post(path, Idempotency_Key=key), 400, "invalid")


def test_a_running_job_keeps_its_flow_when_the_workspace_changes(world):
    job_id = world.execute()
    world.publish("shop", SHOP.replace("  ship:", "  shipped:").replace("task: ship", "task: one"))
    problem_in(world.get("/api/workspaces/shop/tasks/ship"), 404, "not-found")
    assert len(world.get(f"/api/jobs/{job_id}").json_body["steps"]) == 3
