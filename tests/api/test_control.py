"""Cancel and kill, pause and resume, and running a job again."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.api.world import SHOP, problem_in

HIDDEN = "a-password-of-mine"


def moved(world, job_id, verb, body=None, **headers):
    return world.post(f"/api/jobs/{job_id}/{verb}", body, **headers)


def shown(world, job_id):
    return world.get(f"/api/jobs/{job_id}").json_body


def steps(world, job_id):
    return {step["step_name"]: step["status"] for step in shown(world, job_id)["steps"]}


def work(world, *bad):
    """Work until nothing is left; steps named in `bad` fail."""
    worker, ran = world.worker(), []
    while (claimed := world.claim(worker))["job_id"] is not None:
        name = claimed["step_name"]
        ran.append(name)
        outcome = {"error": "no"} if name in bad else {"output": {"id": name}}
        world.complete(claimed, exit_code=1 if name in bad else 0, **outcome)
    return ran


def failed_ship(world, **given):
    """Run the task `ship` so that its step `pack`, which is forgiven, and `check` fail."""
    job_id = world.execute(given={"version": "1.2", "password": HIDDEN, **given})
    work(world, "pack")
    return job_id


def test_a_job_is_cancelled_and_says_by_what(world):
    job_id = world.execute("one")
    assert moved(world, job_id, "cancel").json_body == {"status": "cancelled"}
    job = shown(world, job_id)
    assert (job["reason"], job["killed"]) == ("Cancelled by request", False)
    problem_in(moved(world, job_id, "cancel"), 409, "conflict")


def test_a_body_need_not_come_with_a_cancel(world):
    job_id = world.execute("one")
    answer = world.post(f"/api/jobs/{job_id}/cancel", b"")
    assert answer.status_code == 200


def test_a_job_is_killed_and_one_that_is_being_cancelled_too(world):
    first, second = world.execute("one"), world.execute("one")
    worker = world.worker()
    assert {world.claim(worker)["job_id"] for _ in range(2)} == {first, second}
    moved(world, first, "cancel", {"kill": True})
    assert (shown(world, first)["reason"], shown(world, first)["killed"]) == (
        "Killed by request",
        True,
    )
    moved(world, second, "cancel")
    assert not shown(world, second)["killed"]
    assert moved(world, second, "cancel", {"kill": True}).status_code == 200
    assert shown(world, second)["killed"]


def test_what_was_cancelled_and_has_stopped_is_not_killed(world):
    job_id = world.execute("one")
    moved(world, job_id, "cancel")
    problem_in(moved(world, job_id, "cancel", {"kill": True}), 409, "conflict")


def test_a_paused_job_begins_nothing_until_it_is_resumed(world):
    job_id = world.execute("one")
    for _ in range(2):
        assert moved(world, job_id, "pause").json_body == {"status": "ok", "paused": True}
    assert shown(world, job_id)["paused"] is True
    assert work(world) == []
    for _ in range(2):
        assert moved(world, job_id, "resume").json_body == {"status": "ok", "paused": False}
    assert work(world) == ["only"]
    assert shown(world, job_id)["status"] == "completed"


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_what_has_ended_or_never_was_is_not_paused(world, verb):
    job_id = world.execute("one")
    moved(world, job_id, "cancel")
    problem_in(moved(world, job_id, verb), 409, "conflict")
    problem_in(moved(world, uuid4(), verb), 404, "not-found")
    problem_in(moved(world, "x", verb), 400, "invalid")


def test_a_job_is_run_again_whole_with_its_secrets_masked(world):
    old = failed_ship(world)
    answer = moved(world, old, "rerun")
    new = answer.json_body["job_id"]
    assert HIDDEN not in answer.body.decode()
    job = shown(world, new)
    assert job["input"] == {"version": "1.2", "password": "********", "into": "main"}
    assert (job["source_type"], job["source_job_id"], job["restart_from_step"]) == (
        "rerun",
        old,
        None,
    )
    assert shown(world, old)["rerun_job_ids"] == [new]
    assert sorted(work(world)) == ["build", "check", "pack"]


def test_from_failed_only_what_failed_runs(world):
    old = failed_ship(world)
    new = moved(world, old, "rerun", {"from": "failed"}).json_body["job_id"]
    assert steps(world, new) == {"build": "completed", "check": "completed", "pack": "ready"}
    assert work(world) == ["pack"]
    assert shown(world, new)["restart_from_step"] == "failed"
    assert shown(world, new)["output"]["check"] == {"id": "check"}


def test_from_a_step_and_with_another_input(world):
    old = failed_ship(world)
    body = {"from": "check", "input": {"version": "2", "password": "••••••"}}
    new = moved(world, old, "rerun", body).json_body["job_id"]
    assert shown(world, new)["input"]["version"] == "2"
    assert sorted(work(world)) == ["check", "pack"]


def test_the_newest_revision_runs_only_if_it_is_asked_for(world):
    old = failed_ship(world)
    before = shown(world, old)["revision"]
    world.publish(text=SHOP.replace("text: box", "text: crate"))
    after = world.engine.registry.workspace("shop").revision
    found = [
        shown(world, moved(world, old, "rerun", body).json_body["job_id"])["revision"]
        for body in ({}, {"revision": "newest"})
    ]
    assert found == [before, after]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"from": "nope"}, "/from"),
        ({"revision": "oldest"}, "/revision"),
        ({"priority": "urgent"}, "/priority"),
        ({"input": {"version": 3}}, "/version"),
        ({"input": {"unheard": "********"}}, "/unheard"),
        ({"form": "failed"}, "/form"),
    ],
)
def test_what_is_wrong_with_a_re_run_is_told(world, body, pointer):
    old = failed_ship(world)
    problem = problem_in(moved(world, old, "rerun", body), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert shown(world, old)["rerun_job_ids"] == []


def test_a_job_that_goes_on_or_is_not_there_is_not_run_again(world):
    problem_in(moved(world, world.execute("one"), "rerun"), 409, "conflict")
    problem_in(moved(world, uuid4(), "rerun"), 404, "not-found")


def test_the_same_key_makes_one_re_run(world):
    old = failed_ship(world)
    again = [moved(world, old, "rerun", Idempotency_Key="k").json_body["job_id"] for _ in "ab"]
    assert again[0] == again[1]
    other = moved(world, old, "rerun", {"from": "build"}, Idempotency_Key="k")
    problem_in(other, 422, "idempotency-mismatch")


def execute(world, body, task="ship"):
    return world.post(f"/api/workspaces/shop/tasks/{task}/execute", body)


def test_executing_with_a_source_takes_masked_values_from_it(world):
    old = failed_ship(world)
    given = shown(world, old)["input"] | {"version": "9"}
    new = execute(world, {"input": given, "source_job_id": old}).json_body["job_id"]
    job = shown(world, new)
    assert (job["source_type"], job["source_job_id"]) == ("rerun", old)
    assert job["input"] == {"version": "9", "password": "********", "into": "main"}
    secret = world.engine.blobs.get(world.engine.jobs.get(new).secret_input.key)
    assert HIDDEN in secret.decode()


def test_a_source_of_another_task_or_workspace_or_unknown_is_refused(world):
    world.publish("attic")
    one = world.execute("one")
    elsewhere = world.execute(ws="attic")
    for source in (one, elsewhere, str(uuid4())):
        answer = execute(world, {"input": {"version": "1"}, "source_job_id": source})
        problem = problem_in(answer, 400, "invalid")
        assert [error["pointer"] for error in problem["errors"]] == ["/source_job_id"]
    problem_in(execute(world, {"source_job_id": "x"}), 400, "invalid")


@pytest.mark.parametrize("priority", ["high", "low"])
def test_a_job_is_made_with_a_priority(world, priority):
    body = {"input": {"version": "1"}, "priority": priority}
    job_id = execute(world, body).json_body["job_id"]
    assert shown(world, job_id)["priority"] == priority


def test_an_unknown_priority_is_refused(world):
    body = {"input": {"version": "1"}, "priority": "urgent"}
    problem = problem_in(execute(world, body), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["/priority"]


def task_moved(world, verb, task="ship", ws="shop"):
    return world.post(f"/api/workspaces/{ws}/tasks/{task}/{verb}")


def test_the_triggers_of_a_task_are_paused_and_go_on(world):
    for _ in range(2):
        assert task_moved(world, "pause").json_body == {"status": "ok", "paused": True}
    found = world.get("/api/workspaces/shop/triggers").json_body
    assert {one["name"]: one["paused"] for one in found} == {
        "nightly": True,
        "off": False,
        "push": False,
    }
    detail = world.get("/api/workspaces/shop/tasks/ship").json_body
    assert (detail["paused"], detail["triggers"][0]["next_runs"]) == (True, [])
    assert world.execute()
    task_moved(world, "resume")
    detail = world.get("/api/workspaces/shop/tasks/ship").json_body
    assert (detail["paused"], len(detail["triggers"][0]["next_runs"])) == (False, 5)


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_task_that_is_not_there_is_not_paused(world, verb):
    problem_in(task_moved(world, verb, "nope"), 404, "not-found")
    problem_in(task_moved(world, verb, ws="nope"), 404, "not-found")


def test_a_paused_task_that_was_taken_out_can_still_be_resumed(world):
    task_moved(world, "pause", "one")
    text = 'tasks: {t: {flow: {s: {type: script, script: "true"}}}}'
    world.publish(text=text)
    assert task_moved(world, "resume", "one").status_code == 200
    problem_in(task_moved(world, "resume", "one"), 404, "not-found")
