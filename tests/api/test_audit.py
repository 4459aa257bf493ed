"""What was done is kept, and so is what was denied; secrets are not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chalicelib import wiring
from chalicelib.domain.acl import parse_acl
from chalicelib.domain.roles import ADMIN, BUILT_IN
from tests.api.callers import a_key, a_user, with_callers
from tests.api.world import Down, problem_in
from tests.fakes.clock import NOON


@pytest.fixture
def town(world):
    root = a_user("root", permissions=BUILT_IN[ADMIN].permissions, is_admin=True)
    people = {"root": root, "ann": a_user("ann"), "key": a_key("key", root)}
    rules = [{"workspace": "shop", "action": "view", "users": ["ann@example.com"]}]
    world.engine.access.put_acl(parse_acl({"rules": rules}), None)
    with_callers(world, **people)
    world.token = "root"
    return world


def records(world, query=""):
    world.token = "root"
    return world.get(f"/api/audit{query}").json_body["items"]


def told(rows):
    return [(row["action"], row["actor"], row["result"]) for row in rows]


def test_a_change_leaves_a_record_and_a_look_does_not(town):
    town.execute("one", User_Agent="curl/8")
    town.get("/api/jobs")
    (row,) = records(town)
    assert row["action"] == "execute_task"
    assert row["resource"] == "/api/workspaces/shop/tasks/one/execute"
    assert (row["actor"], row["actor_kind"]) == ("root@example.com", "user")
    assert (row["actor_id"], row["key_id"]) == ("id-of-root", None)
    assert (row["result"], row["reason"]) == ("success", None)
    assert row["ip"] == "127.0.0.1"
    assert row["user_agent"] == "curl/8"
    assert row["request_id"]


def test_a_denial_leaves_a_record_whatever_was_asked(town):
    town.token = "ann"
    town.post("/api/workspaces/shop/tasks/one/execute")
    town.get("/api/acl")
    town.get("/api/workspaces/bank/tasks")
    town.get("/api/workspaces/shop/tasks/none")
    assert told(records(town)) == [
        ("workspace_tasks", "ann@example.com", "denied"),
        ("get_acl", "ann@example.com", "denied"),
        ("execute_task", "ann@example.com", "denied"),
    ]
    assert "system:config" in records(town)[1]["reason"]


def test_a_failure_is_told_from_a_success(town):
    town.post("/api/workspaces/shop/tasks/none/execute")
    town.post("/api/workspaces/shop/tasks/one/execute", {"input": []})
    assert [row["result"] for row in records(town)] == ["failure", "failure"]


def test_who_is_not_known_fills_no_table(town):
    town.token = "nobody"
    for _ in range(3):
        assert town.post("/api/workspaces/shop/tasks/one/execute").status_code == 401
        town.post("/approvals/none", b"", Content_Type="application/x-www-form-urlencoded")
    assert records(town) == []


def test_a_change_of_rules_tells_hashes_of_before_and_after(town):
    version = town.get("/api/acl").json_body["version"]
    body = json.dumps({"acl": {"default": "run"}, "version": version}).encode()
    town._ask("PUT", "/api/acl", body, {"Content-Type": "application/json"})
    (row,) = records(town)
    assert row["action"] == "put_acl"
    assert len(row["before"]) == len(row["after"]) == 64
    assert row["before"] != row["after"]


def test_no_record_holds_what_was_sent(town):
    given = {"version": "1", "password": "plain-secret"}
    town.execute("ship", given=given, Authorization="Bearer key")
    town.post("/api/workspaces/shop/tasks/one/execute?token=plain-secret")
    assert "plain-secret" not in json.dumps(records(town))
    assert records(town)[1]["key_id"] == "id-of-key"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4),
        ("?user=ann@example.com", 1),
        ("?action=cancel_job", 1),
        ("?result=denied", 1),
        ("?resource=/api/jobs/", 1),
        ("?since=2026-11-21T12:00:02Z", 2),
        ("?until=2026-11-21T12:00:02Z", 2),
        ("?since=2026-11-21T12:00:01Z&until=2026-11-21T12:00:03Z", 2),
        ("?user=nobody", 0),
    ],
)
def test_records_are_found_by_what_they_tell(town, query, count):
    job = town.execute("one")
    town.clock.tick(1)
    town.post(f"/api/jobs/{job}/cancel")
    town.clock.tick(1)
    town.execute("one")
    town.clock.tick(1)
    town.post("/api/workspaces/shop/tasks/one/execute", Authorization="Bearer ann")
    assert len(records(town, query)) == count


def test_pages_walk_over_days_and_end(town):
    for _ in range(3):
        for _ in range(2):
            town.execute("one")
        town.clock.tick(days=1)
    found, cursor = [], ""
    while cursor is not None:
        page = town.get(f"/api/audit?limit=1&cursor={cursor}").json_body
        found += [row["at"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert found == sorted(found, reverse=True)
    assert len(found) == 6


def test_a_cursor_is_good_for_its_own_filter_only(town):
    town.execute("one")
    town.execute("one")
    cursor = town.get("/api/audit?limit=1").json_body["next_cursor"]
    problem_in(town.get(f"/api/audit?cursor={cursor}&user=a"), 400, "invalid")
    problem_in(town.get(f"/api/audit?cursor={cursor[:-2]}aa"), 400, "invalid")


def test_too_long_a_span_is_refused(town):
    problem_in(town.get("/api/audit?since=2020-01-01T00:00:00Z"), 400, "invalid")


def test_a_day_can_be_checked(town):
    for _ in range(3):
        town.execute("one")
    path = f"/api/audit/check?day={NOON.date()}"
    assert town.get(path).json_body == {"day": "2026-11-21", "records": 3, "faults": []}
    day = town.engine.audit._days["2026-11-21"]
    del day[sorted(day)[1]]
    assert len(town.get(path).json_body["faults"]) == 1


def test_an_audit_that_does_not_answer_undoes_nothing(town, caplog):
    wiring.use(replace(town.engine, audit=Down()))
    job = town.execute("one")
    assert town.get(f"/api/jobs/{job}").status_code == 200
    assert "audit record not kept" in caplog.text
