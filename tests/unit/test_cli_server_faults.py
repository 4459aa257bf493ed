"""Servers that refuse, break, vanish or are none: each has its code and a sentence that helps."""

import socket

import pytest

from chalicelib.cli.client import connect
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.follow import Follower
from tests.fakes.command import Command
from tests.fakes.server import Answer, scripted_server

LINE = '{{"ts":"2026-11-21T12:00:00.000000Z","stream":"stdout","step":"a","line":"{}"}}\n'


@pytest.fixture
def server():
    with scripted_server() as script:
        yield script


@pytest.fixture
def stroem(monkeypatch, server):
    monkeypatch.setenv("STROEM_URL", server.url)
    monkeypatch.setenv("STROEM_TOKEN", "t0ken")
    return Command(monkeypatch)


def problem(status, text, **more):
    return Answer(status, {"error": text, "detail": text, "status": status, **more})


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.USAGE),
        (401, Exit.PERMISSION),
        (403, Exit.PERMISSION),
        (404, Exit.NOT_FOUND),
        (409, Exit.CONFLICT),
        (412, Exit.CONFLICT),
        (413, Exit.USAGE),
        (422, Exit.USAGE),
        (429, Exit.SERVER),
        (500, Exit.SERVER),
        (503, Exit.SERVER),
    ],
)
def test_a_refusal_has_its_code_and_the_words_of_the_server(stroem, server, status, code):
    server.answer(problem(status, "not today: come back on Monday"))
    ran = stroem("workspaces")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err == "stroem: not today: come back on Monday\n"


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"null", b""])
def test_a_refusal_without_a_reason_names_the_server(stroem, server, body):
    server.answer(Answer(502, body))
    ran = stroem("workspaces")
    assert ran.code == Exit.SERVER
    assert f"{server.url} says HTTP 502 and not why" in ran.err


def test_faults_of_a_pushed_workspace_are_told_each_on_its_line(stroem, server, tmp_path):
    faults = [
        {"pointer": "a.yaml:1:2", "path": "tasks.t", "message": "is wrong", "fix": "mend it"},
        {"pointer": "a.yaml:9:1", "path": "", "message": "is worse", "fix": None},
    ]
    server.answer(
        Answer(201, {"upload_id": "u", "url": f"{server.url}/put"}),
        problem(422, "it does not load", errors=faults),
    )
    (tmp_path / ".workflows").mkdir()
    ran = stroem("workspace", "push", tmp_path)
    # The scripted server takes no PUT, which is a fault of its own to tell.
    assert ran.code == Exit.SERVER
    assert "the upload was refused with HTTP 501" in ran.err
    server.answers.clear()
    server.answer(problem(422, "it does not load", errors=faults))
    ran = stroem("workspaces")
    assert ran.err.splitlines()[1:] == [
        "  a.yaml:1:2: tasks.t: is wrong (mend it)",
        "  a.yaml:9:1: is worse",
    ]


def test_what_is_no_stroem_server_is_recognised(stroem, server):
    server.answer(Answer(200, b"<html>Hello</html>", {"Content-Type": "text/html"}))
    ran = stroem("workspaces")
    assert ran.code == Exit.SERVER
    assert f"{server.url} does not answer in JSON: is it a Strøm server?" in ran.err


def test_a_server_that_hangs_up_is_told_apart_from_none(stroem, server):
    server.answer(Answer(hang_up=True))
    ran = stroem("workspaces")
    assert ran.code == Exit.SERVER
    assert f"{server.url} does not answer (" in ran.err


@pytest.fixture
def closed():
    """The address of a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_server_that_does_not_run_is_told_with_how_to_start_one(stroem, closed):
    ran = stroem("jobs", "--server", closed)
    assert (ran.code, ran.out) == (Exit.SERVER, "")
    assert ran.err == (
        f"stroem: {closed} does not answer (Connection refused): is it running? "
        "Start one with `./dev up`, or name another with --server\n"
    )


def test_the_doctor_says_what_is_missing_and_does_not_stop_at_it(stroem, closed):
    ran = stroem("doctor", "--server", closed)
    assert ran.code == Exit.SERVER
    assert "!!  server" in ran.out
    assert "ok  python" in ran.out
    assert "./dev up" in ran.err


def test_the_token_goes_to_the_server_and_ids_cannot_change_the_address(stroem, server):
    stroem("cancel", "../x?y", "-o", "json")
    assert server.asked[0].headers["Authorization"] == "Bearer t0ken"
    assert server.asked[0].path == "/api/jobs/..%2Fx%3Fy/cancel"


def test_words_of_a_server_cannot_drive_the_terminal(stroem, server):
    server.answer(problem(400, "bad \x1b[2J\x07 thing"))
    assert stroem("workspaces").err == "stroem: bad [2J thing\n"


def job(status, step):
    steps = [{"step_name": "a", "status": step, "error_message": None}]
    return Answer(200, {"job_id": "j", "status": status, "steps": steps})


def log(*lines):
    return Answer(200, {"logs": "".join(map(LINE.format, lines)), "next": 0})


def test_a_follower_bears_a_server_that_is_away_for_a_moment(server, capsys):
    server.answer(
        job("running", "running"),
        log("one", "more"),
        log(),
        Answer(503, {"error": "busy"}),
        Answer(hang_up=True),
        job("completed", "completed"),
        log("two"),
        log(),
    )
    ended = Follower(connect(server.url, None), "j", poll_s=0.01).to_end()
    assert ended["status"] == "completed"
    assert capsys.readouterr().out == "a: one\na: more\na: two\n"
    assert [one.path[-7:] for one in server.asked if "after" in one.path] == [
        "after=0",
        "after=2",
        "after=2",
        "after=3",
    ]


def test_a_follower_gives_up_on_a_server_that_is_away_for_good(server):
    server.answer(*[Answer(503, {"error": "gone fishing"})] * 3)
    with pytest.raises(CommandError, match="gone fishing"):
        Follower(connect(server.url, None), "j", silence_s=0).to_end()


def test_a_follower_gives_up_at_once_on_a_job_that_is_not_there(server):
    server.answer(Answer(404, {"error": "no such job"}))
    with pytest.raises(CommandError, match="no such job"):
        Follower(connect(server.url, None), "j").to_end()
    assert len(server.asked) == 1
