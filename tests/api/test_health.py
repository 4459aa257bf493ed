"""Who gets in, and how the installation is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib import wiring
from tests.api.world import Down, problem_in


@pytest.mark.parametrize(
    "shown", [None, "", "w" * 40, "Bearer", "Bearer ", "Bearer w", "bearer", "Bearer wé"]
)
def test_only_the_worker_token_opens_the_worker_routes(guarded, shown):
    headers = {} if shown is None else {"Authorization": shown}
    answer = guarded.get("/healthz/detail", **headers)
    problem_in(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_worker_token_opens_the_worker_routes(guarded):
    guarded.token = "w" * 40
    assert guarded.worker()
    assert guarded.get("/api/jobs").status_code == 200


def test_the_public_routes_need_no_token(guarded):
    for path in ("/api/config", "/api/jobs", "/healthz"):
        assert guarded.get(path).status_code == 200


def test_health_says_what_is_well(world):
    assert world.get("/healthz").json_body == {"status": "ok", "db": "ok"}
    assert world.get("/healthz/detail").json_body == {
        "status": "ok",
        "checks": {"db": "ok", "queue": "ok", "blobs": "ok", "tick": "ok"},
    }


def test_health_says_what_is_not_well(world):
    wiring.use(replace(world.engine, queue=Down()))
    assert world.get("/healthz").json_body == {"status": "ok", "db": "ok"}
    assert world.get("/healthz/detail").json_body == {
        "status": "degraded",
        "checks": {"db": "ok", "queue": "error", "blobs": "ok", "tick": "ok"},
    }
    wiring.use(replace(world.engine, registry=Down()))
    bad = world.get("/healthz")
    assert (bad.status_code, bad.json_body) == (503, {"status": "unhealthy", "db": "error"})
    assert world.get("/healthz/detail").json_body["status"] == "unhealthy"


def test_jobs_that_no_tick_looked_after_show_in_the_health(world):
    world.execute()
    world.clock.tick(minutes=10)
    assert world.get("/healthz/detail").json_body == {
        "status": "degraded",
        "checks": {"db": "ok", "queue": "ok", "blobs": "ok", "tick": "late"},
    }


def test_a_client_is_told_what_it_must_know_first(world):
    from chalicelib.settings import VERSION  # noqa: PLC0415 - for this one

    assert world.get("/api/config").json_body == {
        "auth_required": False,
        "acl_enabled": False,
        "oidc_providers": [],
        "has_internal_auth": False,
        "version": VERSION,
    }


def test_without_an_environment_requests_are_answered_with_503(bare, monkeypatch):
    from chalicelib import settings  # noqa: PLC0415 - only to forget what was read

    for name in settings._REQUIRED:
        monkeypatch.delenv(name, raising=False)
    settings.settings.cache_clear()
    wiring.use(None)
    answer = bare.get("/api/jobs")
    assert "STROEM_JOBS_TABLE" in problem_in(answer, 503, "unavailable")["detail"]
    assert bare.get("/healthz").json_body == {"status": "unhealthy", "db": "error"}
