"""Users and groups over HTTP."""

from uuid import uuid4

import pytest

from chalicelib.domain.callers import Permission
from chalicelib.domain.roles import role_of
from tests.api.accounts import MAKER, PASSWORD, ROOT, add, as_user, log_in
from tests.api.world import problem_in


@pytest.fixture
def root(people):
    as_user(people, ROOT)
    return people


def of(people, user, part=""):
    return f"/api/users/{user.user_id}{part}"


def test_users_are_listed_by_pages(root):
    body = root.get("/api/users?limit=1").json_body
    assert body["total"] == 2
    [row] = body["items"]
    assert (row["email"], row["groups"], row["auth_methods"]) == (MAKER, ["makers"], ["password"])
    assert "password_hash" not in row
    assert root.get("/api/users?offset=1").json_body["items"][0]["email"] == ROOT
    assert root.get("/api/users?search=MAK").json_body["total"] == 1


def test_a_user_is_added_without_a_password_as_those_of_a_provider_are(root):
    body = {"email": "New@Example.com", "groups": ["b", "a"], "is_admin": False}
    row = root.post("/api/users", body).json_body
    assert (row["email"], row["groups"]) == ("new@example.com", ["a", "b"])
    assert row["auth_methods"] == []
    assert log_in(root, "new@example.com", "").status_code == 400
    assert log_in(root, "new@example.com", "x").status_code == 401
    problem_in(root.post("/api/users", body), 409, "conflict")


def test_a_user_is_added_with_a_password(root):
    body = {"email": "new@example.com", "password": PASSWORD}
    assert root.post("/api/users", body).status_code == 200
    assert log_in(root, "new@example.com").status_code == 200
    body = {"email": "other@example.com", "password": "short"}
    assert root.post("/api/users", body).status_code == 400


def test_groups_are_those_that_somebody_is_in(root):
    assert root.put(of(root, root.maker, "/groups"), {"groups": ["x", "y", "x"]}).json_body == {
        "status": "ok"
    }
    assert root.get(of(root, root.maker, "/groups")).json_body == {"groups": ["x", "y"]}
    assert root.get("/api/groups").json_body == {"groups": ["x", "y"]}
    for wrong in ("", "g" * 65, "a\nb"):
        assert root.put(of(root, root.maker, "/groups"), {"groups": [wrong]}).status_code == 400


def test_who_is_no_administrator_changes_nobody(people):
    as_user(people, MAKER)
    maker = people.maker
    for method, part, body in (
        (people.put, "/admin", {"is_admin": True}),
        (people.put, "/groups", {"groups": []}),
        (people.put, "/roles", {"roles": []}),
        (people.put, "/disabled", {"disabled": True}),
        (people.post, "/reset", {}),
    ):
        problem_in(method(of(people, maker, part), body), 403, "permission-denied")
    problem_in(people.post("/api/users", {"email": "a@b"}), 403, "permission-denied")
    problem_in(people.delete(of(people, maker)), 403, "permission-denied")
    assert people.get("/api/users").status_code == 200
    assert people.get(of(people, people.root)).json_body["email"] == ROOT


def test_there_is_always_an_administrator(root):
    for method, part, body in (
        (root.put, "/admin", {"is_admin": False}),
        (root.put, "/disabled", {"disabled": True}),
    ):
        problem_in(method(of(root, root.root, part), body), 409, "conflict")
    problem_in(root.delete(of(root, root.root)), 409, "conflict")
    assert root.put(of(root, root.maker, "/admin"), {"is_admin": True}).status_code == 200
    assert root.put(of(root, root.root, "/admin"), {"is_admin": False}).status_code == 200


def test_a_disabled_user_comes_back_with_the_old_password(root):
    assert root.put(of(root, root.maker, "/disabled"), {"disabled": True}).status_code == 200
    assert log_in(root, MAKER).status_code == 401
    assert root.put(of(root, root.maker, "/disabled"), {"disabled": False}).status_code == 200
    assert log_in(root, MAKER).status_code == 200


def test_who_manages_users_cannot_raise_himself_or_reach_those_above(people):
    people.engine.access.put_role(role_of("clerk", ["user:manage", "role:assign"]))
    clerk = add(people.engine, "clerk@example.com", roles=("clerk",))
    people.engine.access.put_role(role_of("auditor", ["system:audit"]))
    auditor = add(people.engine, "auditor@example.com", roles=("auditor",))
    as_user(people, "clerk@example.com")
    assert people.put(of(people, people.maker, "/groups"), {"groups": ["z"]}).status_code == 200
    for method, user, part, body in (
        (people.put, clerk, "/admin", {"is_admin": True}),
        (people.put, clerk, "/roles", {"roles": ["admin"]}),
        (people.put, clerk, "/roles", {"roles": ["auditor"]}),
        (people.post, people.root, "/reset", {}),
        (people.put, people.root, "/disabled", {"disabled": True}),
        (people.post, auditor, "/reset", {}),
    ):
        problem_in(method(of(people, user, part), body), 403, "permission-denied")
    problem_in(people.delete(of(people, people.root)), 403, "permission-denied")
    new = {"email": "x@y", "roles": ["auditor"]}
    problem_in(people.post("/api/users", new), 403, "permission-denied")


def test_all_permissions_together_make_no_administrator(people):
    everything = [one.value for one in Permission]
    people.engine.access.put_role(role_of("everything", everything))
    nearly = add(people.engine, "nearly@example.com", roles=("everything",))
    as_user(people, "nearly@example.com")
    answer = people.put(of(people, nearly, "/admin"), {"is_admin": True})
    problem_in(answer, 403, "permission-denied")
    problem_in(people.post(of(people, people.root, "/reset")), 403, "permission-denied")


def test_roles_say_what_somebody_may(root):
    root.engine.access.put_role(role_of("looker", ["job:read"]))
    assert root.put(of(root, root.maker, "/roles"), {"roles": ["none"]}).status_code == 400
    assert root.put(of(root, root.maker, "/roles"), {"roles": ["looker"]}).status_code == 200
    as_user(root, MAKER)
    assert root.get("/api/tasks").status_code == 200
    path = "/api/workspaces/shop/tasks/one/execute"
    assert root.post(path, {"input": {}}).status_code == 403


def test_a_user_who_is_not_there_is_not_found(root):
    assert root.get(f"/api/users/{uuid4()}").status_code == 404
    assert root.get("/api/users/none").status_code == 400
    assert root.put(f"/api/users/{uuid4()}/admin", {"is_admin": True}).status_code == 404


def test_a_change_of_a_user_is_audited_with_its_hashes(root):
    root.put(of(root, root.maker, "/groups"), {"groups": ["z"]})
    [entry] = [
        one.entry
        for _, one in root.engine.audit.day("2026-11-21", None, 50)
        if one.entry.action == "set_user_groups"
    ]
    assert (entry.actor, entry.resource) == (ROOT, f"user {MAKER}")
    assert entry.before != entry.after
