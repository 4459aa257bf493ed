"""Twenty thousand wrong requests to all routes, by three kinds of caller: refused in form.

`STROEM_FUZZ_REQUESTS` asks for more of them, `STROEM_FUZZ_SEED` for others: `./dev fuzz`.
"""

from __future__ import annotations

import json
import logging
import os

import pytest
from chalice.app import Chalice
from chalice.test import Client

import app as application
from chalicelib import settings, wiring
from chalicelib.api.edge import Operation, answered
from chalicelib.api.limits import limiter
from chalicelib.api.problems import PROBLEM_JSON
from chalicelib.api.shapes import Status
from tests.api.accounts import KEY
from tests.api.fuzz import Spoiler, routes
from tests.api.fuzz_odd import ODD_PARTS
from tests.api.fuzz_world import ASKING, WORKER_TOKEN, Target

REQUESTS = int(os.environ.get("STROEM_FUZZ_REQUESTS", "20000"))
SEED = int(os.environ.get("STROEM_FUZZ_SEED", "4"))
MEMBERS = {"type", "title", "status", "detail", "code", "error", "request_id"}
_BAD = 400
_FAULT = 500
# Where RFC 8628 says what a refusal looks like.
OAUTH = ("/api/auth/device/token", {"error", "error_description"})


@pytest.fixture
def target(monkeypatch):
    monkeypatch.setenv("STROEM_WORKER_TOKEN", WORKER_TOKEN)
    monkeypatch.setenv("STROEM_TOKEN_KEYS", KEY)
    monkeypatch.delenv("STROEM_CURSOR_KEY", raising=False)
    settings.access.cache_clear()
    logging.disable(logging.INFO)
    with Client(application.app) as client:
        yield Target(client)
    limiter.forget()
    logging.disable(logging.NOTSET)
    wiring.use(None)
    settings.access.cache_clear()


def answer_to(app, event):
    """The answer as the API's Lambda function gives it."""
    return app(event, None)


def faults_of(asked, answer):
    """Yield what is wrong with the answer."""
    status = answer["statusCode"]
    if status >= _FAULT:
        yield f"{status}: {str(answer['body'])[:300]}"
    if status >= _BAD:
        yield from _faults_of_form(asked, answer, status)
    if "Traceback" in str(answer["body"]):
        yield "shows its insides"


def _faults_of_form(asked, answer, status):
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    kind = headers.get("content-type", "")
    if kind == PROBLEM_JSON:
        body = json.loads(answer["body"])
        if not body.keys() >= MEMBERS or body["status"] != status:
            yield f"no whole problem document: {body}"
    elif asked.route.pattern == OAUTH[0] and kind == "application/json":
        if json.loads(answer["body"]).keys() != OAUTH[1]:
            yield f"not as RFC 8628 has it: {answer['body']}"
    elif not (kind.startswith("text/html") and asked.route.operation.media == "text/html"):
        yield f"{status} is no problem document but {kind!r}: {str(answer['body'])[:200]}"


def thrown_at(target, app, count, seed, chosen=None):
    """Ask `count` wrong questions; return what was wrong with the answers, and the statuses."""
    spoiler, found, statuses = Spoiler(seed), [], {}
    known = chosen or list(routes(app, target.good))
    before = target.digest()
    for number in range(count):
        route, who = known[number % len(known)], ASKING[number // len(known) % len(ASKING)]
        asked = spoiler.request(route, target.bearer(who, route))
        answer = answer_to(app, asked.event)
        status = answer["statusCode"]
        statuses[status] = statuses.get(status, 0) + 1
        faults = list(faults_of(asked, answer))
        after = target.digest()
        if after != before:
            if status >= _BAD:
                faults.append(f"{status}, and something was changed")
            target.fresh()
            known = chosen or list(routes(app, target.good))
            after = target.digest()
        before = after
        found += [f"seed {seed}, {number}, {who}: {asked}: {fault}" for fault in faults]
    return found, statuses


@pytest.mark.slow
def test_no_wrong_request_breaks_anything_or_changes_what_it_was_refused(target):
    found, statuses = thrown_at(target, application.app, REQUESTS, SEED)
    assert not found, "\n".join([f"{len(found)} faults", *found[:20]])
    assert sum(statuses.values()) == REQUESTS
    refused = sum(count for status, count in statuses.items() if status >= _BAD)
    assert refused > REQUESTS / 2, statuses
    assert {400, 401, 403, 404, 413} <= statuses.keys(), statuses


def test_paths_that_no_gateway_would_pass_on_are_refused_too(target):
    token = target.tokens["root"]
    before = target.digest()
    for route in routes(application.app, target.good):
        for odd in ODD_PARTS if "{" in route.pattern else ():
            path = route.pattern.format_map({**dict.fromkeys(route.parts, odd)})
            if route.method == "GET":
                target.world.token = token
                _through_the_gateway(target, path)
    assert target.digest() == before


def _through_the_gateway(target, path):
    from chalice.local import ForbiddenError  # noqa: PLC0415 - what no route knows

    try:
        answer = target.world.get(path)
    except ForbiddenError:
        return
    assert answer.status_code < _FAULT, (path, answer.body)


def test_a_route_that_breaks_or_writes_before_it_refuses_is_found(target):
    broken = Chalice(app_name="broken", configure_logs=False)
    operation = Operation(summary="Breaks", answer=Status, public=True)
    view = answered(broken, operation)(lambda call: {}["nothing"])
    broken.route("/api/broken", methods=["GET"])(view)

    def writes(call):
        target.world.engine.blobs.put("left", b"behind")
        return call.engine.registry.workspace("there is none")

    broken.route("/api/writes", methods=["GET"])(answered(broken, operation)(writes))
    found, statuses = thrown_at(target, broken, 20, SEED)
    assert statuses[500] == sum("500: " in one for one in found) > 5
    assert statuses[404] == sum("something was changed" in one for one in found) > 5
