"""What callers see: lists, counts, pages and details without what is hidden from them."""

from __future__ import annotations

import json

import pytest

from chalicelib.domain.acl import parse_acl
from chalicelib.domain.roles import ADMIN, BUILT_IN
from tests.api.callers import a_key, a_user, with_callers
from tests.api.world import problem_in, run_one

FAMILY = """
actions:
  say: {type: script, script: "true"}
  part: {type: task, task: hidden}
  whole: {type: task, task: open}
tasks:
  open: {folder: ops, flow: {a: {action: say}}}
  over: {folder: ops, flow: {a: {action: part}}}
  deeper: {folder: deep, flow: {a: {action: whole}}}
  hidden: {folder: deep, flow: {a: {action: say}}}
  gate: {folder: ops, flow: {a: {type: approval, message: "Go?"}}}
triggers:
  seen: {type: scheduler, cron: "0 2 * * *", task: open}
  unseen: {type: scheduler, cron: "0 2 * * *", task: hidden}
"""
RULES = {
    "rules": [
        {"workspace": "shop", "tasks": ["ops/*"], "action": "run", "users": ["ann@example.com"]},
        {"workspace": "shop", "tasks": ["ops/*"], "action": "view", "users": ["vic@example.com"]},
        {"workspace": "bank", "action": "run", "users": ["bob@example.com"]},
    ]
}


@pytest.fixture
def town(bare):
    """Ann may run `ops/*` of the shop, Vic look at it; Bob has the bank; Root is administrator."""
    for name in ("shop", "bank"):
        assert bare.publish(name, FAMILY).ok
    root = a_user("root", permissions=BUILT_IN[ADMIN].permissions, is_admin=True)
    ann = a_user("ann")
    key = a_key("of-root", root, workspaces=frozenset({"bank"}))
    people = {"ann": ann, "vic": a_user("vic"), "bob": a_user("bob"), "root": root, "key": key}
    bare.engine.access.put_acl(parse_acl(RULES), None)
    return with_callers(bare, **people)


def as_(world, name):
    world.token = name
    return world


def ids(answer):
    return [row["job_id"] for row in answer.json_body["items"]]


@pytest.fixture
def jobs(town):
    as_(town, "root")
    made = [town.execute(task) for task in ("open", "hidden", "open", "hidden", "hidden", "open")]
    return made, town.execute("open", ws="bank")


def test_lists_and_counts_hold_only_what_is_not_hidden(town, jobs):
    made, bank = jobs
    mine = [made[5], made[2], made[0]]
    answer = as_(town, "ann").get("/api/jobs")
    assert ids(answer) == mine
    assert answer.json_body["total"] == 3
    assert town.get("/api/stats").json_body["pending"] == 3
    assert {row["id"] for row in town.get("/api/tasks").json_body} == {"gate", "open", "over"}
    assert [one["name"] for one in town.get("/api/workspaces").json_body] == ["shop"]
    assert town.get("/api/workspaces").json_body[0]["tasks_count"] == 3
    assert [one["name"] for one in town.get("/api/workspaces/shop/triggers").json_body] == ["seen"]
    assert ids(as_(town, "bob").get("/api/jobs")) == [bank]
    assert ids(as_(town, "key").get("/api/jobs")) == [bank]
    assert as_(town, "root").get("/api/jobs").json_body["total"] == 7


@pytest.mark.parametrize(
    "query",
    [
        "workspace=bank",
        "search=hidden",
        "search=bank",
        "workspace=shop&task_name=hidden",
        "workspace=none",
        "search={parent}",
    ],
)
def test_no_filter_finds_what_is_hidden(town, jobs, query):
    parent = as_(town, "root").execute("deeper")
    answer = as_(town, "ann").get(f"/api/jobs?{query.format(parent=parent)}")
    assert answer.json_body == {"items": [], "total": 0, "next_cursor": None}


def test_pages_of_a_part_are_full_and_end(town, jobs):
    made, _ = jobs
    as_(town, "ann")
    found, cursor = [], ""
    while cursor is not None:
        page = town.get(f"/api/jobs?limit=1&cursor={cursor}").json_body
        assert len(page["items"]) == 1
        found.append(page["items"][0]["job_id"])
        cursor = page["next_cursor"]
    assert found == [made[5], made[2], made[0]]


def test_what_is_hidden_is_answered_like_what_does_not_exist(town, jobs):
    made, bank = jobs
    as_(town, "ann")
    none = "01890000-0000-7000-8000-000000000000"
    for hidden in (made[1], bank):
        for path in ("", "/logs", "/cost"):
            there = town.get(f"/api/jobs/{hidden}{path}")
            not_there = town.get(f"/api/jobs/{none}{path}")
            assert problem_in(there, 404, "not-found")["detail"] == (
                problem_in(not_there, 404, "not-found")["detail"].replace(none, hidden)
            )
    for path in ("tasks", "triggers", "tasks/open"):
        there = problem_in(town.get(f"/api/workspaces/bank/{path}"), 404, "not-found")
        not_there = problem_in(town.get(f"/api/workspaces/bane/{path}"), 404, "not-found")
        assert there["detail"].replace("bank", "bane") == not_there["detail"]
    there = problem_in(town.get("/api/workspaces/shop/tasks/hidden"), 404, "not-found")
    not_there = problem_in(town.get("/api/workspaces/shop/tasks/hedden"), 404, "not-found")
    assert there["detail"].replace("hidden", "hedden") == not_there["detail"]


def test_who_may_only_look_is_told_which_permission_a_change_needs(town, jobs):
    made, _ = jobs
    as_(town, "vic")
    assert town.get(f"/api/jobs/{made[0]}").status_code == 200
    answer = problem_in(town.post(f"/api/jobs/{made[0]}/cancel"), 403, "permission-denied")
    assert "execution:stop" in answer["detail"]
    refused = town.post("/api/workspaces/shop/tasks/open/execute")
    assert "job:execute" in problem_in(refused, 403, "permission-denied")["detail"]
    rows = {row["id"]: row["can_execute"] for row in town.get("/api/tasks").json_body}
    assert rows == {"open": False, "over": False, "gate": False}
    assert town.get("/api/workspaces/shop/tasks/open").json_body["can_execute"] is False
    assert as_(town, "ann").get("/api/workspaces/shop/tasks/open").json_body["can_execute"]


def test_a_job_of_a_task_that_left_the_workspace_stays_as_visible_as_it_was(town, jobs):
    made, _ = jobs
    gone = FAMILY.replace("  open: {folder: ops, flow: {a: {action: say}}}\n", "")
    gone = gone.replace("  hidden: {folder: deep, flow: {a: {action: say}}}\n", "")
    gone = gone.replace("  over: {folder: ops, flow: {a: {action: part}}}\n", "")
    gone = gone.split("triggers:")[0] + "  other: {flow: {a: {action: say}}}\n"
    gone = gone.replace('  gate: {folder: ops, flow: {a: {type: approval, message: "Go?"}}}\n', "")
    gone = gone.replace("  deeper: {folder: deep, flow: {a: {action: whole}}}\n", "")
    gone = gone.replace("  part: {type: task, task: hidden}\n", "")
    gone = gone.replace("  whole: {type: task, task: open}\n", "")
    assert town.publish("shop", gone).ok
    assert ids(as_(town, "ann").get("/api/jobs")) == [made[5], made[2], made[0]]
    assert town.get(f"/api/jobs/{made[0]}").status_code == 200
    assert town.get(f"/api/jobs/{made[1]}").status_code == 404


def test_a_sub_job_of_a_hidden_task_is_not_told_of(town):
    job = as_(town, "root").execute("over")
    child = town.get(f"/api/jobs/{job}").json_body["steps"][0]["child_job_id"]
    assert child is not None
    shown = as_(town, "ann").get(f"/api/jobs/{job}")
    assert child not in json.dumps(shown.json_body)
    assert town.get(f"/api/jobs/{child}").status_code == 404
    assert child not in json.dumps(town.get(f"/api/jobs/{job}/cost").json_body)


def test_a_worker_shows_only_steps_of_jobs_that_are_not_hidden(town, jobs):
    worker = town.worker()
    held = [town.claim(worker) for _ in range(7)]
    refs = [{"job_id": one["job_id"], "step_name": one["step_name"]} for one in held]
    town.post("/worker/heartbeat", {"worker_id": worker, "running": refs})
    assert as_(town, "root").get(f"/api/workers/{worker}").json_body["steps"]["total"] == 7
    steps = as_(town, "bob").get(f"/api/workers/{worker}").json_body["steps"]
    assert [one["workspace"] for one in steps["items"]] == ["bank"]
    assert steps["total"] == 1


def test_who_started_and_who_approved_is_kept(town):
    job = as_(town, "ann").execute("open")
    row = town.get(f"/api/jobs/{job}").json_body
    assert (row["source_type"], row["source_id"]) == ("user", "ann@example.com")
    gate = town.execute("gate")
    assert town.post(f"/api/jobs/{gate}/steps/a/approve", {"approved": True}).status_code == 200
    (step,) = town.get(f"/api/jobs/{gate}").json_body["steps"]
    assert step["output"]["approved_by"] == "ann@example.com"
    made = as_(town, "key").execute("open", ws="bank")
    row = town.get(f"/api/jobs/{made}").json_body
    assert (row["source_type"], row["source_id"]) == ("api", "root@example.com")


def test_a_hidden_job_is_no_source_of_another(town, jobs):
    made, bank = jobs
    as_(town, "ann")
    texts = []
    for source in (made[1], bank, "01890000-0000-7000-8000-000000000000"):
        body = {"source_job_id": source}
        answer = town.post("/api/workspaces/shop/tasks/open/execute", body)
        texts.append(problem_in(answer, 400, "invalid")["detail"].replace(source, "ID"))
    assert len(set(texts)) == 1


def test_an_idempotency_key_of_somebody_else_does_not_name_a_hidden_job(town):
    hidden = as_(town, "root").execute("hidden", Idempotency_Key="k")
    path = "/api/workspaces/shop/tasks/open/execute"
    answer = as_(town, "ann").post(path, {}, Idempotency_Key="k")
    assert answer.status_code == 422
    assert hidden not in answer.body.decode()


def test_a_key_may_do_nothing_beyond_its_workspaces_even_of_an_administrator(town):
    as_(town, "key")
    assert town.get("/api/acl").status_code == 403
    assert town.get("/api/workspaces/shop/tasks").status_code == 404
    assert town.post("/api/workspaces/shop/uploads").status_code == 404
    assert town.post("/api/workspaces/bank/uploads").status_code == 201


def test_without_an_access_list_everybody_may_run_everything(world):
    with_callers(world, ann=a_user("ann"))
    as_(world, "ann")
    assert run_one(world)
    assert world.get("/api/tasks").json_body[0]["can_execute"]
