"""The worker's HTTP client: what it repeats, what it gives up, and whom it shows its token."""

import gzip
import hashlib
import time

import pytest

from chalicelib.domain.errors import (
    FencedError,
    NotFoundError,
    RateLimitedError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from chalicelib.domain.logs import LogLine
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import Language
from chalicelib.engine.steps import Hold, Outcome
from chalicelib.engine.workers import Hello
from tests.fakes.clock import NOON
from tests.fakes.server import Answer, scripted_server
from workers.control import Orders, Session
from workers.control_http import HttpControl

HOLD = Hold(StepRef("job-1", "build"), 2, "lease-1")
CLAIM = {
    "workspace": "shop",
    "job_id": "job-1",
    "task_name": "ship",
    "step_name": "build",
    "action_name": "compile",
    "action_type": "script",
    "action_spec": {
        "script": "make",
        "language": "python",
        "args": ["-j"],
        "env": {"A": "b"},
        "dependencies": ["six"],
        "runner": "local",
    },
    "input": {"x": 1},
    "timeout_secs": 9,
    "revision": "r1",
    "attempt": 2,
    "lease": "lease-1",
}
NOTHING = dict.fromkeys(CLAIM)


@pytest.fixture
def server():
    with scripted_server() as script:
        yield script


@pytest.fixture
def control(server):
    server.answer(Answer(body={"worker_id": "w-1", "heartbeat_s": 7}))
    control = HttpControl(server.url, "sesame", connections=2)
    session = control.register(Hello(name="anna", capabilities=("script",), version="1"))
    assert session == Session("w-1", 7)
    server.asked.clear()
    return control


def test_it_registers_with_what_it_is_and_shows_its_token(server):
    server.answer(Answer(body={"worker_id": "w-1"}))
    hello = Hello(name="anna", capabilities=("script",), tags=("fast",), version="1")
    assert HttpControl(server.url, "sesame", 1).register(hello) == Session("w-1", 20)
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("POST", "/worker/register")
    assert asked.headers["Authorization"] == "Bearer sesame"
    assert asked.body == {
        "name": "anna",
        "capabilities": ["script"],
        "tags": ["fast"],
        "exclusive": False,
        "version": "1",
    }


def test_a_claim_becomes_an_assignment(server, control):
    server.answer(Answer(body=CLAIM))
    [offer] = control.offers("script", 0.1, 4)
    got = offer()
    assert got.hold == HOLD
    assert (got.workspace, got.revision, got.task, got.timeout_s) == ("shop", "r1", "ship", 9)
    assert (got.action.key, got.action.language) == ("compile", Language.PYTHON)
    assert got.action.dependencies == ("six",)
    assert (got.rendered.script, got.rendered.args) == ("make", ("-j",))
    assert (got.rendered.env, got.rendered.input) == ({"A": "b"}, {"x": 1})
    assert server.bodies() == [
        {
            "worker_id": "w-1",
            "capabilities": ["script"],
            "pools": ["script"],
            "tags": [],
            "exclusive": False,
            "wait_s": 0.1,
        }
    ]


def test_a_claim_that_makes_no_sense_is_reported_as_a_failed_step(server, control):
    server.answer(Answer(body=CLAIM | {"action_spec": {"language": "cobol"}}))
    [offer] = control.offers("script", 0.1, 1)
    assert offer() is None
    told = server.asked[-1]
    assert told.path == "/worker/jobs/job-1/steps/build/complete"
    assert "cobol" in told.body["error"]
    assert (told.body["attempt"], told.body["lease"]) == (2, "lease-1")


def test_a_claim_whose_templates_fail_is_no_offer(server, control):
    problem = {"code": "template-invalid", "error": "undefined: x"}
    server.answer(Answer(422, problem))
    assert control.offers("script", 0.1, 1) == ()


def test_a_server_that_does_not_hold_the_question_is_not_asked_in_a_rush(server, control):
    server.answer(*[Answer(body=NOTHING)] * 4)
    began = time.monotonic()
    for _ in range(4):
        assert control.offers("script", 5, 1) == ()
    # 0.05 s, doubled each time.
    assert time.monotonic() - began >= 0.75


def test_a_lost_answer_to_a_claim_is_not_asked_for_again(server, control):
    server.answer(Answer(hang_up=True))
    with pytest.raises(UnavailableError):
        control.offers("script", 0.1, 1)
    assert len(server.asked) == 1


def test_a_report_is_repeated_until_it_is_answered(server, control):
    server.answer(Answer(503), Answer(hang_up=True), Answer(502))
    control.complete(HOLD, Outcome(output={"n": 1}))
    assert len(server.asked) == 4
    assert server.asked[0].body == server.asked[3].body
    assert server.asked[3].body == {
        "output": {"n": 1},
        "error": None,
        "cancelled": False,
        "attempt": 2,
        "lease": "lease-1",
        "worker_id": "w-1",
    }


def test_the_next_step_comes_with_the_answer_to_a_report(server, control):
    server.answer(Answer(body={"status": "ok", "next": CLAIM}))
    following = control.complete(HOLD, Outcome(), go_on=True)
    assert (following.hold, following.task) == (HOLD, "ship")
    assert server.asked[0].body["next"] is True


@pytest.mark.parametrize("answer", [{"status": "ok"}, {"status": "ok", "next": None}])
def test_a_server_that_gives_no_next_step_has_taken_the_report(server, control, answer):
    server.answer(Answer(body=answer))
    assert control.complete(HOLD, Outcome(), go_on=True) is None
    assert len(server.asked) == 1


@pytest.mark.parametrize("lost", [Answer(hang_up=True), Answer(503)])
def test_a_report_whose_answer_was_lost_is_repeated_without_asking_for_work(server, control, lost):
    server.answer(lost, Answer(body={"status": "ok", "next": CLAIM}))
    assert control.complete(HOLD, Outcome(), go_on=True) is None
    assert ["next" in body for body in server.bodies()] == [True, False]


def test_a_next_step_that_makes_no_sense_is_reported_as_failed(server, control):
    odd = CLAIM | {"step_name": "after", "action_spec": {"language": "cobol"}}
    server.answer(Answer(body={"status": "ok", "next": odd}))
    assert control.complete(HOLD, Outcome(), go_on=True) is None
    assert server.asked[-1].path == "/worker/jobs/job-1/steps/after/complete"
    assert "cobol" in server.asked[-1].body["error"]


def test_the_brackets_of_an_instance_are_encoded_in_paths(server, control):
    control.complete(Hold(StepRef("job-1", "build[3]"), 1, "lease-1"), Outcome())
    assert server.asked[0].path == "/worker/jobs/job-1/steps/build%5B3%5D/complete"


def test_a_server_that_stays_away_is_unavailable(server, control):
    server.answer(*[Answer(503, {"error": "come back later"})] * 4)
    with pytest.raises(UnavailableError, match="come back later"):
        control.complete(HOLD, Outcome())


def test_nobody_there_is_unavailable():
    control = HttpControl("http://127.0.0.1:9", None, 1)
    with pytest.raises(UnavailableError, match="does not answer"):
        control.register(Hello(name="anna", capabilities=("script",)))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, UnauthenticatedError),
        (404, NotFoundError),
        (409, FencedError),
        (413, TooLargeError),
        (429, RateLimitedError),
        (418, UnavailableError),
    ],
)
def test_a_refusal_is_the_error_that_it_stands_for(server, control, status, error):
    server.answer(Answer(status, {"error": "because"}))
    with pytest.raises(error, match="because"):
        control.complete(HOLD, Outcome())


def test_an_answer_that_is_no_json_is_unavailable(server, control):
    server.answer(Answer(200, b"<html>"))
    with pytest.raises(UnavailableError, match="no JSON"):
        control.heartbeat(())


def test_a_heartbeat_says_what_runs_and_brings_orders(server, control):
    cancelled = [{"job_id": "job-1", "step_name": "build"}]
    server.answer(Answer(body={"status": "ok", "cancelled": cancelled, "drain": True}))
    orders = control.heartbeat([StepRef("job-1", "build")])
    assert orders == Orders((StepRef("job-1", "build"),), drain=True)
    assert server.bodies() == [{"worker_id": "w-1", "running": cancelled}]


def test_orders_are_asked_for_by_what_runs(server, control):
    named = [{"job_id": "job-1", "step_name": "build[3]"}]
    server.answer(Answer(body={"cancelled": named, "killed": named, "drain": False}))
    ref = StepRef("job-1", "build[3]")
    assert control.orders([ref]) == Orders((ref,), (ref,))
    assert server.asked[0].path == "/worker/orders"
    assert server.bodies() == [{"worker_id": "w-1", "running": named}]


def test_a_server_says_which_jobs_are_watched(server, control):
    server.answer(Answer(body={"cancelled": [], "watched": ["job-1"]}))
    assert control.orders([StepRef("job-1", "build")]).watched == {"job-1"}


def test_of_a_server_that_does_not_say_it_each_claimed_job_is_taken_to_be_watched(server, control):
    said = [CLAIM, CLAIM | {"watched": False}, CLAIM | {"watched": True}]
    server.answer(*[Answer(body=claim) for claim in said])
    got = [offer() for _ in said for offer in control.offers("script", 0.1, 1)]
    assert [one.watched for one in got] == [True, False, True]


@pytest.mark.parametrize("status", [403, 404])
def test_an_older_server_is_asked_for_each_job(server, control, status):
    cancelled = {"cancelled": True}
    server.answer(Answer(status), Answer(body=cancelled), Answer(body={"cancelled": False}))
    first, second, other = (
        StepRef("job-1", "build"),
        StepRef("job-1", "pack"),
        StepRef("job-2", "build"),
    )
    assert control.orders([first, second, other]) == Orders((first, second))
    server.answer(Answer(body={"cancelled": False}))
    assert control.orders([first]) == Orders()
    assert [one.path for one in server.asked] == [
        "/worker/orders",
        "/worker/jobs/job-1/cancelled",
        "/worker/jobs/job-2/cancelled",
        "/worker/jobs/job-1/cancelled",
    ]


def test_log_lines_carry_their_place_in_the_attempt(server, control):
    control.append(HOLD, 5, [LogLine(NOON, "stderr", "build", "ø")], live=True)
    assert server.asked[0].path == "/worker/jobs/job-1/logs"
    assert server.bodies() == [
        {
            "step_name": "build",
            "attempt": 2,
            "lease": "lease-1",
            "first": 5,
            "live": True,
            "lines": [{"ts": "2026-11-21T12:00:00.000000Z", "stream": "stderr", "line": "ø"}],
        }
    ]


def test_connections_are_kept(server, control):
    before = server.connections
    for _ in range(5):
        control.heartbeat(())
    assert server.connections == before


FILES = gzip.compress(b"files")
DIGEST = {"X-Content-SHA256": hashlib.sha256(FILES).hexdigest()}


def test_files_come_as_they_are_with_their_digest_checked(server, control):
    server.answer(Answer(body=FILES, headers=DIGEST))
    assert control.archive("shop", "r 1") == FILES
    assert server.asked[0].path == "/worker/workspace/shop.tar.gz?revision=r%201"


def test_files_that_arrive_damaged_are_refused(server, control):
    server.answer(Answer(body=FILES[:-1], headers=DIGEST))
    with pytest.raises(UnavailableError, match="damaged"):
        control.archive("shop", "r1")


def test_the_token_is_not_shown_to_the_place_that_the_server_points_at(server, control):
    with scripted_server() as store:
        store.answer(Answer(body=FILES))
        where = f"{store.url}/bucket/key?signature=1"
        server.answer(Answer(307, headers={"Location": where, **DIGEST}))
        assert control.archive("shop", "r1") == FILES
        assert store.asked[0].path == "/bucket/key?signature=1"
        assert "Authorization" not in store.asked[0].headers
    assert server.asked[0].headers["Authorization"] == "Bearer sesame"


def test_it_signs_off(server, control):
    control.sign_off()
    assert (server.asked[0].path, server.bodies()) == ("/worker/sign-off", [{"worker_id": "w-1"}])
