"""Routes of the access list and of roles; limits, headers and origins of all routes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from chalice.local import LambdaContext, LambdaEventConverter, RouteMatcher

import app as application
from chalicelib import settings, wiring
from chalicelib.api.limits import limiter
from chalicelib.auth.passwords import Argon2Passwords
from chalicelib.domain.callers import Permission
from chalicelib.domain.roles import ADMIN, BUILT_IN
from chalicelib.store.memory_accounts import MemoryAccounts
from tests.api.accounts import CHEAP, MAKER, ROOT, add
from tests.api.callers import OF_USER, a_key, a_user, with_callers
from tests.api.world import problem_in

RULES = {
    "default": "view",
    "rules": [
        {
            "workspace": "sh*",
            "tasks": ["ops/*"],
            "action": "run",
            "groups": ["makers"],
            "users": [],
        }
    ],
}


@pytest.fixture
def town(world):
    limiter.forget()
    root = a_user("root", permissions=BUILT_IN[ADMIN].permissions, is_admin=True)
    warden = a_user("warden", permissions=OF_USER | {Permission.ROLE_ASSIGN})
    with_callers(world, root=root, ann=a_user("ann"), warden=warden, key=a_key("key", root))
    world.token = "root"
    return world


def put(world, path, body):
    headers = {"Content-Type": "application/json"}
    return world._ask("PUT", path, json.dumps(body).encode(), headers)


# the access list


def test_the_access_list_is_set_shown_and_taken_away(town):
    assert town.get("/api/acl").json_body == {"acl": None, "version": None}
    assert town.get("/api/config").json_body["acl_enabled"] is False
    made = put(town, "/api/acl", {"acl": RULES}).json_body
    assert made["acl"] == RULES
    assert town.get("/api/acl").json_body == made
    assert town.get("/api/config").json_body["acl_enabled"] is True
    gone = put(town, "/api/acl", {"acl": None, "version": made["version"]})
    assert gone.json_body == {"acl": None, "version": None}


def test_of_two_who_change_the_list_the_second_is_refused(town):
    put(town, "/api/acl", {"acl": RULES})
    other = {"acl": {"default": "deny"}}
    problem_in(put(town, "/api/acl", other), 409, "conflict")
    problem_in(put(town, "/api/acl", other | {"version": "0" * 32}), 409, "conflict")


def test_each_fault_of_a_list_is_told_with_its_place(town):
    rules = [
        {"workspace": "shop", "action": "stop", "users": ["a"]},
        {"workspace": "", "action": "run", "groups": [1]},
        {"action": "run", "users": "ann"},
        "all",
        {"workspace": "a", "action": "view"},
        {"workspace": "a", "action": "view", "users": ["*"], "task": ["x"], "tasks": []},
    ]
    answer = put(town, "/api/acl", {"acl": {"default": 1, "rules": rules, "more": 1}})
    found = problem_in(answer, 400, "invalid")["errors"]
    assert {one["pointer"] for one in found} == {
        "/default",
        "/more",
        "/rules/0/action",
        "/rules/1/workspace",
        "/rules/1/groups/0",
        "/rules/2/workspace",
        "/rules/2/users",
        "/rules/2",
        "/rules/3",
        "/rules/4",
        "/rules/5/task",
        "/rules/5/tasks",
    }
    assert town.get("/api/acl").json_body["acl"] is None


@pytest.mark.parametrize("acl", [[], "run", 1, {"rules": {}}, {"rules": [[]]}])
def test_what_is_no_list_is_refused(town, acl):
    problem_in(put(town, "/api/acl", {"acl": acl}), 400, "invalid")


def test_the_check_tells_the_access_and_the_rules(town):
    put(town, "/api/acl", {"acl": RULES})
    path = "/api/acl/check?user=ann@example.com&workspace=shop&task="
    assert town.get(path + "ship").json_body == {"access": "view", "rules": []}
    assert town.get(path + "ship&groups=makers,x").json_body == {"access": "run", "rules": [0]}
    assert town.get(path + "one&groups=makers").json_body == {"access": "view", "rules": []}


def test_the_check_knows_the_groups_of_whom_it_knows(town):
    put(town, "/api/acl", {"acl": RULES | {"default": "deny"}})
    passwords = Argon2Passwords(CHEAP)
    town.engine = replace(town.engine, accounts=MemoryAccounts(), passwords=passwords)
    wiring.use(town.engine)
    add(town.engine, MAKER, groups=("makers",))
    add(town.engine, ROOT, is_admin=True)
    path = "/api/acl/check?workspace=shop&task=ship&user="
    assert town.get(path + MAKER).json_body == {"access": "run", "rules": [0]}
    assert town.get(path + MAKER + "&groups=x").json_body["access"] == "deny"
    assert town.get(path + ROOT).json_body["access"] == "run"
    assert town.get(path + "nobody@example.com").json_body["access"] == "deny"


# roles


def test_a_role_is_written_listed_and_removed(town):
    body = {"permissions": ["job:read", "execution:stop"], "description": "At night"}
    made = put(town, "/api/roles/night", body).json_body
    assert made == {
        "name": "night",
        "description": "At night",
        "permissions": ["execution:stop", "job:read"],
        "built_in": False,
    }
    rows = town.get("/api/roles").json_body["items"]
    assert [(row["name"], len(row["permissions"])) for row in rows] == [
        ("admin", 18),
        ("user", 5),
        ("night", 2),
    ]
    assert town._ask("DELETE", "/api/roles/night", b"", {}).status_code == 200
    problem_in(town._ask("DELETE", "/api/roles/night", b"", {}), 404, "not-found")


def test_what_is_no_role_is_refused_with_its_places(town):
    answer = put(town, "/api/roles/Admin!", {"permissions": ["job:read", "job:all"]})
    found = problem_in(answer, 400, "invalid")["errors"]
    assert [one["pointer"] for one in found] == ["/name", "/permissions/1"]
    for name in ("admin", "user"):
        problem_in(put(town, f"/api/roles/{name}", {"permissions": []}), 400, "invalid")
        problem_in(town._ask("DELETE", f"/api/roles/{name}", b"", {}), 400, "invalid")


def test_nobody_hands_out_a_permission_that_he_has_not(town):
    town.token = "warden"
    assert put(town, "/api/roles/night", {"permissions": ["job:read"]}).status_code == 200
    answer = put(town, "/api/roles/night", {"permissions": ["job:read", "system:config"]})
    assert "system:config" in problem_in(answer, 403, "permission-denied")["detail"]
    assert len(town.get("/api/roles").json_body["items"][2]["permissions"]) == 1


# limits


def test_who_asks_too_often_waits_and_others_do_not(town, monkeypatch):
    monkeypatch.setenv("STROEM_RATE_PER_MINUTE", "60")
    monkeypatch.setenv("STROEM_RATE_BURST", "3")
    settings.edge_settings.cache_clear()
    try:
        left = [town.get("/api/stats").headers["RateLimit-Remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        answer = town.get("/api/stats")
        problem_in(answer, 429, "rate-limited")
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["RateLimit"] == '"caller";r=0;t=1'
        for other in ("ann", "key"):
            assert town.get("/api/tasks", Authorization=f"Bearer {other}").status_code == 200
        town.clock.tick(1)
        assert town.get("/api/stats").status_code == 200
        assert town.get("/api/stats").status_code == 429
    finally:
        settings.edge_settings.cache_clear()
        limiter.forget()


# headers and origins


def test_every_answer_says_what_browsers_may_do_with_it(world):
    for path in ("/api/config", "/api/jobs/none", "/nowhere"):
        headers = world.get(path).headers
        if path != "/nowhere":
            assert headers["Content-Security-Policy"] == (
                "default-src 'none'; frame-ancestors 'none'"
            )
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Strict-Transport-Security" not in headers
        assert "Access-Control-Allow-Origin" not in headers
    assert (
        "Strict-Transport-Security" in world.get("/api/config", X_Forwarded_Proto="https").headers
    )
    assert "style-src" in world.get("/approvals/none").headers["Content-Security-Policy"]


@pytest.fixture
def shared(world, monkeypatch):
    monkeypatch.setenv("STROEM_CORS_ORIGINS", "https://ui.example,http://localhost:5173")
    settings.edge_settings.cache_clear()
    yield world
    settings.edge_settings.cache_clear()


def preflight(path, headers):
    """Ask as API Gateway asks the function; Chalice's own gateway answers OPTIONS by itself."""
    routes = RouteMatcher(list(application.app.routes))
    converter = LambdaEventConverter(routes, application.app.api.binary_types)
    event = converter.create_lambda_event("OPTIONS", path, {**headers}, b"")
    answer = application.app(event, LambdaContext("f", 128))
    return answer["statusCode"], answer["headers"]


@pytest.mark.parametrize("origin", ["https://ui.example", "http://localhost:5173"])
def test_a_named_origin_may_ask(shared, origin):
    answer = shared.get("/api/config", Origin=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    status, headers = preflight("/api/workspaces/shop/tasks/one/execute", asks)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == origin
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "Authorization" in headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://ui.example.evil.test",
        "http://ui.example",
        "https://ui.example:444",
        "https://UI.example",
        "null",
        "*",
        "",
    ],
)
def test_any_other_origin_may_not(shared, origin):
    assert "Access-Control-Allow-Origin" not in shared.get("/api/config", Origin=origin).headers
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    _, headers = preflight("/api/config", asks)
    assert "Access-Control-Allow-Origin" not in headers
    assert "Access-Control-Allow-Methods" not in headers


def test_without_origins_there_is_no_preflight(world):
    asks = {"Origin": "https://ui.example", "Access-Control-Request-Method": "POST"}
    status, headers = preflight("/api/config", asks)
    assert status == 405
    assert "Access-Control-Allow-Origin" not in headers
