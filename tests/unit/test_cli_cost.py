"""`stroem cost`: what it prints of a server's answer, and how it ends without one."""

import json

import pytest

from tests.fakes.command import Command
from tests.fakes.server import Answer, scripted_server

JOB = "0192f1c8-0000-7000-8000-000000000001"
FOUND = {
    "job_id": JOB,
    "status": "completed",
    "mode": "direct",
    "prices": {"region": "us-east-1", "taken": "2025-12-02", "currency": "USD"},
    "kinds": [
        {
            "kind": "create",
            "what": "the job is written",
            "count": 1,
            "units": {"dynamodb_write_units": 3, "dynamodb_read_units": 1, "s3_puts": 1},
            "usd": 0.000007,
        },
        {
            "kind": "send",
            "what": "ready steps are sent",
            "count": 1,
            "units": {"sqs_requests": 1},
            "usd": 0.0000004,
        },
    ],
    "meters": [
        {
            "service": "SQS",
            "meter": "sqs_requests",
            "unit": "request",
            "units": 1200.5,
            "usd": 0.0000004,
        }
    ],
    "children": [],
    "usd": 0.0000074,
    "usd_whole": 0.0000074,
    "usd_per_million_jobs": 7.4,
    "is_whole": True,
}
CHILD = {"job_id": "c1", "workspace": "shop", "task_name": "pack", "step": "box", "usd": 0.000001}


@pytest.fixture
def server():
    with scripted_server() as script:
        yield script


@pytest.fixture
def stroem(monkeypatch, server):
    monkeypatch.setenv("STROEM_URL", server.url)
    monkeypatch.delenv("STROEM_TOKEN", raising=False)
    return Command(monkeypatch)


def test_the_cost_is_shown_by_kind_and_by_service(stroem, server):
    server.answer(Answer(body=FOUND))
    ran = stroem("cost", JOB)
    assert ran.code == 0, ran.err
    assert server.asked[0].path == f"/api/jobs/{JOB}/cost?mode=direct"
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["KIND", "COUNT", "WRITES", "READS", "SQS", "S3", "REQUESTS", "USD"]
    assert lines[1] == ["create", "1", "3", "1", "-", "1", "-", "$0.000007000"]
    assert ["SQS", "request", "1,200.5", "$0.000000400"] in lines
    assert ran.out.splitlines()[-1] == "a million such jobs  $7.40"
    assert "us-east-1 as of 2025-12-02" in ran.err


def test_sub_jobs_are_listed_with_the_sum(stroem, server):
    server.answer(Answer(body={**FOUND, "children": [CHILD], "is_whole": False}))
    ran = stroem("cost", JOB, "--mode", "http")
    assert server.asked[0].path.endswith("?mode=http")
    assert ["c1", "box", "shop/pack", "$0.000001000"] in [
        line.split() for line in ran.out.splitlines()
    ]
    assert "with sub-jobs" in ran.out
    assert "more sub-jobs than were counted" in ran.err


def test_as_json_it_is_the_answer_itself(stroem, server):
    server.answer(Answer(body=FOUND))
    assert json.loads(stroem("cost", JOB, "-o", "json").out) == FOUND


def test_of_a_job_that_there_is_not_it_ends_as_other_verbs_do(stroem, server):
    server.answer(Answer(404, {"error": "there is no such job"}))
    ran = stroem("cost", JOB)
    assert (ran.code, ran.out) == (3, "")
    assert "there is no such job" in ran.err
