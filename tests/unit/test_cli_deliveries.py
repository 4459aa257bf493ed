"""`stroem deliveries`: what it shows, and what it asks for."""

import json

import pytest

from tests.fakes.command import Command
from tests.fakes.server import Answer, scripted_server

JOB = "0192f1c8-0000-7000-8000-000000000001"
ID = "0192f1c8-0000-5000-8000-000000000002"
ONE = {
    "delivery_id": ID,
    "to": "https://hooks.example",
    "state": "pending",
    "created_at": "2026-11-21T12:00:00.000000Z",
    "next_try_at": "2026-11-21T12:05:00.000000Z",
    "tries": [
        {"at": "2026-11-21T12:00:01.000000Z", "status": 500},
        {"at": "2026-11-21T12:01:00.000000Z", "error": "it did not answer"},
    ],
}


@pytest.fixture
def server():
    with scripted_server() as script:
        yield script


@pytest.fixture
def stroem(monkeypatch, server):
    monkeypatch.setenv("STROEM_URL", server.url)
    monkeypatch.delenv("STROEM_TOKEN", raising=False)
    return Command(monkeypatch)


def test_the_list_shows_how_sending_went(stroem, server):
    never = {**ONE, "tries": [], "next_try_at": None, "state": "delivered"}
    server.answer(Answer(body={"items": [ONE, never]}), Answer(body={"items": [ONE]}))
    out = stroem("deliveries", JOB).out.splitlines()
    assert out[0].split() == ["DELIVERY", "STATE", "TRIES", "LAST", "NEXT", "TO"]
    assert out[1].startswith(f"{ID}  pending    2      it did not answer  ")
    assert out[1].endswith("https://hooks.example")
    assert out[2].startswith(f"{ID}  delivered  0      -")
    assert json.loads(stroem("deliveries", JOB, "-o", "json").out) == {"items": [ONE]}


def test_one_is_sent_once_more(stroem, server):
    server.answer(Answer(body=ONE))
    ran = stroem("deliveries", JOB, "--redeliver", ID)
    assert (ran.code, ran.out) == (0, f"{ID} is sent again within a minute\n")
    assert server.asked[0].method == "POST"
    assert server.asked[0].path == f"/api/jobs/{JOB}/deliveries/{ID}/redeliver"


def test_a_job_that_nobody_is_told_of_says_so(stroem, server):
    server.answer(Answer(body={"items": []}))
    ran = stroem("deliveries", JOB)
    assert (ran.code, ran.out) == (0, "")
    assert "Nobody is told" in ran.err
