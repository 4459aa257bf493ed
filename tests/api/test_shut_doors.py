"""When nobody gets in: too many asked, accounts do not answer, or nobody could log in."""

import json
from dataclasses import replace

import pytest

from chalicelib import settings, wiring
from chalicelib.domain.errors import UnavailableError
from tests.api.accounts import KEY, NEW, PASSWORD, ROOT, as_user, log_in
from tests.api.world import Down


def test_too_many_log_ins_from_one_place_must_wait(people):
    statuses = [log_in(people, f"u{number}@x.y", "wrong").status_code for number in range(11)]
    assert statuses == [401] * 10 + [429]
    answer = log_in(people)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "3"
    people.clock.tick(3)
    assert log_in(people).status_code == 200


@pytest.mark.parametrize(
    ("path", "burst"), [("refresh", 15), ("logout", 20), ("device", 20), ("reset", 10)]
)
def test_whoever_asks_at_the_door_too_often_must_wait(people, path, burst):
    body = {"token": "x", "new_password": NEW}
    statuses = [people.post(f"/api/auth/{path}", body).status_code for _ in range(burst + 1)]
    assert 429 not in statuses[:-1]
    assert statuses[-1] == 429


def test_when_turns_cannot_be_counted_nobody_gets_in(people):
    def down(*_):
        raise UnavailableError("the table did not answer")

    people.engine.accounts.take_turn = down
    assert log_in(people).status_code == 503


REFRESH = f"strr_{'0' * 56}_{'0' * 64}"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/auth/login", {"email": ROOT, "password": PASSWORD}),
        ("POST", "/api/auth/refresh", {"refresh_token": REFRESH}),
        ("POST", "/api/auth/logout", {"refresh_token": REFRESH}),
        ("POST", "/api/auth/reset", {"token": "x", "new_password": NEW}),
        ("POST", "/api/auth/device", {}),
        ("POST", "/device", None),
        ("GET", "/api/auth/me", None),
        ("GET", "/api/auth/api-keys", None),
        ("POST", "/api/auth/api-keys", {"name": "ci"}),
        ("DELETE", "/api/auth/api-keys/strm_0000000", None),
        ("POST", "/api/auth/logout-everywhere", None),
        ("POST", "/api/auth/password", {"old_password": PASSWORD, "new_password": NEW}),
        ("GET", "/api/users", None),
        ("POST", "/api/users", {"email": "a@b"}),
        ("GET", "/api/groups", None),
        ("GET", "/api/tasks", None),
    ],
)
def test_where_accounts_do_not_answer_nobody_gets_in_and_is_told_so(people, method, path, body):
    as_user(people, ROOT)
    wiring.use(wiring.guarded(replace(people.engine, accounts=Down()), (KEY,)))
    kind = "application/x-www-form-urlencoded" if path == "/device" else "application/json"
    content = b"" if body is None else json.dumps(body).encode()
    answer = people._ask(method, path, content, {"Content-Type": kind})
    assert answer.status_code == 503


def test_an_installation_on_the_internet_is_closed_until_somebody_can_log_in(world, monkeypatch):
    monkeypatch.setenv("STROEM_ENV", "aws")
    settings.access.cache_clear()
    assert settings.access().is_closed
    wiring.use(wiring.guarded(world.engine, (), is_closed=True))
    answer = world.get("/api/tasks")
    assert answer.status_code == 503
    assert "STROEM_TOKEN_KEYS" in answer.json_body["error"]
    assert world.get("/api/config").status_code == 200
    hello = {"name": "w", "capabilities": ["script"], "tags": [], "exclusive": False}
    assert world.post("/worker/register", hello).status_code == 401


def test_an_installation_on_the_internet_is_open_on_the_operators_word_only():
    assert not settings.access_from({"STROEM_ENV": "aws", "STROEM_OPEN": "yes"}).is_closed
    assert settings.access_from({"STROEM_ENV": "aws", "STROEM_OPEN": "maybe"}).is_closed
    assert not settings.access_from({"STROEM_ENV": "local"}).is_closed
