"""API keys over HTTP: they act as their user, and never beyond what they are held to."""

import pytest

from tests.api.accounts import MAKER, ROOT, as_user
from tests.api.world import SHOP, problem_in

KEYS = "/api/auth/api-keys"


def made(people, **given):
    answer = people.post(KEYS, {"name": "ci", **given})
    assert answer.status_code == 200, answer.body
    return answer.json_body


def test_a_key_is_shown_once_and_acts_as_its_user(people):
    as_user(people, MAKER)
    new = made(people)
    assert set(new) >= {"key", "name", "prefix", "expires_at"}
    assert len(new["key"]) == 37
    assert new["key"].startswith(new["prefix"])
    people.token, session = new["key"], people.token
    me = people.get("/api/auth/me").json_body
    assert (me["email"], me["groups"]) == (MAKER, ["makers"])
    job_id = people.execute("one")
    row = people.get(f"/api/jobs/{job_id}").json_body
    assert (row["source_type"], row["source_id"]) == ("api", MAKER)
    people.token = session
    [listed] = people.get(KEYS).json_body
    assert listed["prefix"] == new["prefix"]
    assert listed["last_used_at"] == "2026-11-21T12:00:00.000000Z"
    assert new["key"] not in people.get(KEYS).body.decode()


def test_keys_are_managed_by_people_only(people):
    as_user(people, MAKER)
    people.token = made(people)["key"]
    problem_in(people.get(KEYS), 403, "permission-denied")
    problem_in(people.post(KEYS, {"name": "more"}), 403, "permission-denied")
    problem_in(people.delete(f"{KEYS}/strm_0000000"), 403, "permission-denied")
    problem_in(people.post("/api/auth/logout-everywhere"), 403, "permission-denied")


def test_a_deleted_key_is_worth_nothing_within_ten_seconds(people):
    as_user(people, MAKER)
    new, session = made(people), people.token
    people.token = new["key"]
    assert people.get("/api/tasks").status_code == 200
    people.token = session
    assert people.delete(f"{KEYS}/{new['prefix']}").json_body == {"status": "ok"}
    assert people.delete(f"{KEYS}/{new['prefix']}").status_code == 404
    people.clock.tick(10)
    people.token = new["key"]
    assert people.get("/api/tasks").status_code == 401


def test_another_persons_key_is_not_there(people):
    as_user(people, MAKER)
    new = made(people)
    as_user(people, ROOT)
    assert people.get(KEYS).json_body == []
    assert people.delete(f"{KEYS}/{new['prefix']}").status_code == 404


def test_a_key_ends_at_its_time(people):
    as_user(people, MAKER)
    people.token = made(people, expires_in_days=1)["key"]
    people.clock.tick(days=1, seconds=-1)
    assert people.get("/api/tasks").status_code == 200
    people.clock.tick(1)
    assert people.get("/api/tasks").status_code == 401


def test_a_key_of_a_disabled_user_is_worth_nothing(people):
    as_user(people, MAKER)
    key = made(people)["key"]
    as_user(people, ROOT)
    people.put(f"/api/users/{people.maker.user_id}/disabled", {"disabled": True})
    people.clock.tick(10)
    people.token = key
    assert people.get("/api/tasks").status_code == 401


def test_a_key_that_begins_alike_is_another_one(people):
    as_user(people, MAKER)
    key = made(people)["key"]
    people.token = key
    assert people.get("/api/tasks").status_code == 200
    people.token = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert people.get("/api/tasks").status_code == 401


def test_scopes_hold_even_the_key_of_an_administrator(people):
    as_user(people, ROOT)
    people.token = made(people, scopes=["job:read", "user:manage"])["key"]
    assert people.get("/api/tasks").status_code == 200
    path = "/api/workspaces/shop/tasks/one/execute"
    problem_in(people.post(path, {"input": {}}), 403, "permission-denied")
    admin = f"/api/users/{people.maker.user_id}/admin"
    problem_in(people.put(admin, {"is_admin": True}), 403, "permission-denied")
    problem_in(
        people.post("/api/users", {"email": "a@b", "is_admin": True}), 403, "permission-denied"
    )
    assert people.post("/api/users", {"email": "a@b"}).status_code == 200


def test_workspaces_hold_a_key(people):
    people.publish("bank", SHOP)
    as_user(people, MAKER)
    people.token = made(people, workspaces=["bank"])["key"]
    assert {task["workspace"] for task in people.get("/api/tasks").json_body} == {"bank"}
    assert people.get("/api/workspaces/shop/tasks").status_code == 404


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "x", "expires_in_days": 0},
        {"name": "x", "scopes": ["job:fly"]},
        {"name": "x", "workspaces": []},
        {"name": "\x00"},
    ],
)
def test_a_key_that_cannot_be_is_refused(people, given):
    as_user(people, MAKER)
    assert people.post(KEYS, given).status_code == 400
