"""What holds for every route: errors as problem documents, one log line, names."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

import app as application
from chalicelib import wiring
from chalicelib.api.problems import STATUSES, no_such_route, problem_of
from chalicelib.domain.errors import (
    InvalidError,
    RateLimitedError,
    StroemError,
    UnavailableError,
    Violation,
)
from tests.api.world import Down, problem_in

ROOT = Path(__file__).resolve().parents[2]
ROUTES = [
    (method, path, entry.view_function.operation)
    for path, methods in sorted(application.app.routes.items())
    for method, entry in sorted(methods.items())
    # Pages for people answer with pages: test_approvals.
    if entry.view_function.operation.media != "text/html"
]
IDS = [f"{method} {path}" for method, path, _ in ROUTES]
AT_HOME = {
    "ws": "shop",
    "task": "ship",
    "job_id": str(uuid4()),
    "worker_id": str(uuid4()),
    "step": "build",
    "archive": "shop.tar.gz",
    "role": "night",
    "name": "group-a",
    "token_id": "0" * 24,
    "user_id": str(uuid4()),
    "provider": "nobody",
    "prefix": "strm_0000000",
    "backfill_id": str(uuid4()),
    "delivery": str(uuid4()),
    "job": str(uuid4()),
}


def all_errors(root=StroemError):
    return [root, *(found for child in root.__subclasses__() for found in all_errors(child))]


def an_error(cls):
    return cls("why", 7) if cls is RateLimitedError else cls("why")


@pytest.mark.parametrize("cls", all_errors(), ids=lambda cls: cls.__name__)
def test_every_error_has_a_status_of_its_own_and_becomes_a_whole_problem(cls):
    answer = problem_of(an_error(cls), "r-1")
    status, title = STATUSES[cls]
    assert answer.status_code == status
    assert json.loads(answer.body) == {
        "type": f"urn:stroem:problem:{cls.code}",
        "title": title,
        "status": status,
        "detail": "why",
        "code": cls.code,
        "error": "why",
        "request_id": "r-1",
    }


def test_a_path_without_a_route_has_a_problem_too():
    body = json.loads(no_such_route("r-1").body)
    assert (body["status"], body["code"], body["request_id"]) == (404, "not-found", "r-1")


def test_no_status_is_kept_for_an_error_that_is_gone():
    assert set(STATUSES) == set(all_errors())


def test_an_error_that_asks_to_wait_says_how_long():
    assert problem_of(RateLimitedError("why", 7), "r").headers["Retry-After"] == "7"
    assert problem_of(UnavailableError("why"), "r").headers["Retry-After"] == "1"


def test_violations_are_listed_with_their_places():
    error = InvalidError("why", (Violation("/a", "is wrong"),))
    body = json.loads(problem_of(error, "r").body)
    assert body["errors"] == [{"pointer": "/a", "message": "is wrong"}]


# These have a place, and a suite, of their own: test_auth.py.
OF_ACCOUNTS = ("/api/auth", "/api/users", "/api/groups", "/device")
A_SOURCE = {"kind": "git", "url": "https://git.example/shop.git"}
BODIES = {
    "/api/acl": {"acl": {"rules": []}},
    "/api/roles/{role}": {"permissions": []},
    "/api/worker-groups": {"name": "g"},
    "/api/worker-groups/{name}/tokens": {},
    "/api/jobs/{job_id}/rerun": {},
    "/api/workspaces/{ws}/revisions": {"upload_id": str(uuid4())},
    "/api/workspaces/{ws}/rollback": {},
    "/api/workspaces/{ws}/source": A_SOURCE,
    "/api/libraries/{name}": A_SOURCE,
    "/api/workspaces/{ws}/triggers/{name}/backfill": {
        "from": "2026-11-20T00:00:00Z",
        "to": "2026-11-21T00:00:00Z",
    },
    "/worker/event-source/emit": {
        "workspace": "shop",
        "task": "ship",
        "source_id": "shop/queue",
        "hold": {
            "job_id": str(uuid4()),
            "step_name": "build",
            "attempt": 1,
            "lease": "0" * 24,
        },
        "number": 1,
    },
}
KEPT = (
    *("jobs", "registry", "blobs", "queue", "access", "audit", "worker_groups", "webhooks"),
    *("deliveries", "schedules", "backfills", "sources", "event_sources", "connections"),
)
QUERIES = {
    "/api/acl/check": "?user=a&workspace=shop&task=ship",
    "/api/audit/check": "?day=2026-11-21",
}


def path_of(pattern, **parts):
    return pattern.format(**{**AT_HOME, **parts})


@pytest.mark.parametrize(("method", "pattern", "operation"), ROUTES, ids=IDS)
def test_every_route_answers_a_bad_request_with_a_problem(guarded, method, pattern, operation):
    """Wrong token, wrong id or wrong body: whatever the route can be asked wrongly."""
    world = guarded
    if operation.by_worker:
        problem_in(world._ask(method, path_of(pattern), b"", {}), 401, "unauthenticated")
        world.token = "w" * 40
    path = path_of(pattern)
    if "{job_id}" in pattern or "{worker_id}" in pattern:
        bad = path_of(pattern, job_id="no-id", worker_id="no-id")
        body = b"{}" if operation.body is None else json.dumps(a_body(operation)).encode()
        problem_in(world._ask(method, bad, body, {}), 400, "invalid")
    if operation.body is not None:
        problem_in(world._ask(method, path, b"{", {}), 400, "invalid")
        problem_in(world._ask(method, path, b"[]", {}), 400, "invalid")
        problem_in(world._ask(method, path, b'"text"', {}), 400, "invalid")
    if "{ws}" in pattern or "{archive}" in pattern:
        bad = path_of(pattern, ws="no.name", archive="no.name.tar.gz")
        answer = world._ask(method, bad, b"", {})
        assert answer.status_code in (400, 404)
        problem_in(answer, answer.status_code, answer.json_body["code"])
    problem_in(world._ask("PATCH", path, b"", {}), 405, "method-not-allowed")


def a_body(operation):
    """A body that the model accepts."""
    values = {"string": "x", "array": [], "integer": 1, "object": {}, "boolean": True}
    schema = operation.body.model_json_schema()
    required = schema.get("required", [])
    return {name: values[schema["properties"][name]["type"]] for name in required}


@pytest.mark.parametrize(("method", "pattern", "operation"), ROUTES, ids=IDS)
def test_every_route_answers_a_store_that_does_not_answer_with_503(
    world, method, pattern, operation
):
    wiring.use(replace(world.engine, **{name: Down() for name in KEPT}))
    body = {"worker_id": AT_HOME["worker_id"], "upload_id": str(uuid4()), "name": "w"}
    body |= {"capabilities": ["script"], "step_name": "build", "lines": [], "approved": True}
    body["running"] = [{"job_id": AT_HOME["job_id"], "step_name": "build"}]
    if pattern == "/api/config":
        assert world.get("/api/config").status_code == 200
        return
    if pattern.startswith(OF_ACCOUNTS):
        wiring.use(replace(world.engine, accounts=Down()))
        assert world._ask(method, path_of(pattern), b"{}", {}).status_code in (200, 400, 404, 503)
        return
    asked = path_of(pattern) + QUERIES.get(pattern, "")
    answer = world._ask(method, asked, json.dumps(BODIES.get(pattern, body)).encode(), {})
    assert answer.status_code == 503
    if not pattern.startswith("/healthz"):
        problem_in(answer, 503, "unavailable")


class Broken:
    """A collaborator with a fault of its own."""

    def __getattr__(self, name):
        raise RuntimeError("the secret reason")


def test_what_nobody_expected_is_told_to_the_log_and_not_to_the_caller(world, records):
    wiring.use(replace(world.engine, registry=Broken()))
    answer = world.get("/api/workspaces")
    assert answer.json_body == {
        "type": "urn:stroem:problem:internal",
        "title": "Internal server error",
        "status": 500,
        "detail": "Internal server error",
        "code": "internal",
        "error": "Internal server error",
        "request_id": answer.headers["X-Request-Id"],
    }
    errors = [record for record in records if record.levelno >= logging.ERROR]
    assert [record.request_id for record in errors] == [answer.headers["X-Request-Id"]]
    written = json.loads(application.logger.registered_formatter.format(errors[0]))
    assert written["exception_name"] == "RuntimeError"
    assert written["route"] == "/api/workspaces"


@pytest.fixture
def records():
    """What is logged below `stroem`."""
    found = []

    class Keeping(logging.Handler):
        def emit(self, record):
            found.append(record)

    handler = Keeping()
    logging.getLogger("stroem").addHandler(handler)
    yield found
    logging.getLogger("stroem").removeHandler(handler)


def test_each_request_leaves_one_line_without_bodies_or_secrets(world, records):
    answer = world.post(
        "/api/workspaces/shop/tasks/ship/execute?token=secret-in-query",
        {"input": {"version": "secret-in-body"}},
        Authorization="Bearer secret-in-header",
    )
    (record,) = records
    line = json.loads(application.logger.registered_formatter.format(record))
    ms = line.pop("ms")
    assert ms >= 0
    assert {key: line[key] for key in ("message", "method", "route", "status", "request_id")} == {
        "message": "request",
        "method": "POST",
        "route": "/api/workspaces/{ws}/tasks/{task}/execute",
        "status": 200,
        "request_id": answer.headers["X-Request-Id"],
    }
    assert "secret-in" not in json.dumps(line)


def test_answers_are_neither_sniffed_nor_kept(world):
    for path in ("/api/config", "/api/jobs/none"):
        headers = world.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_a_wrong_method_names_those_that_there_are(world):
    answer = world.post("/api/jobs")
    problem_in(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET"


def test_importing_the_app_loads_neither_boto3_nor_pynamodb():
    code = "import app, sys; print(sorted({'boto3', 'pynamodb'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_no_two_views_share_a_name():
    names = [
        entry.view_name for found in application.app.routes.values() for entry in found.values()
    ]
    assert len(names) == len(set(names))


def test_every_path_names_a_part_alike_where_others_do():
    """API Gateway takes one name for a variable part behind the same path only."""
    names = {}
    for path in application.app.routes:
        parts = path.split("/")
        for number, part in enumerate(parts):
            if part.startswith("{"):
                assert names.setdefault(tuple(parts[:number]), part) == part
