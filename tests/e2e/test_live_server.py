"""Connections over the real stack: opened by a ticket, told what is there, refused cleanly."""

import json
import urllib.request
import zlib

import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.live_messages import hear, say
from tests.e2e.running_stack import RunningStack, eventually

NO_JOB = "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"
LOUD = """
tasks:
  loud:
    flow:
      say: {type: script, script: "for i in $(seq 1 3000); do echo line $i of some length; done"}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    home = tmp_path_factory.mktemp("live")
    (home / "loud").mkdir()
    (home / "loud" / "loud.yaml").write_text(LOUD)
    found = RunningStack(home / "data", options=("--workspace", f"loud={home / 'loud'}"))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def job_id(stack):
    """A job that has ended, of 3,000 lines."""
    made = stack.post("/api/workspaces/loud/tasks/loud/execute", {"input": {}})["job_id"]
    eventually(lambda: '"completed"' in stack.get(f"/api/jobs/{made}")[1], 180)
    return made


def lines_in(told):
    """Return the lines that messages bring or lead to, by step, attempt and number."""
    found = {}
    for one in told:
        if one["type"] == "lines":
            spans = [[one["step"], one["attempt"], one["first"], one["last"]]]
            found |= numbered(spans, one["lines"])
        for chunk in one.get("chunks", ()):
            with urllib.request.urlopen(chunk["url"], timeout=60) as answer:  # noqa: S310 - loopback
                text = zlib.decompress(answer.read(), 16 + zlib.MAX_WBITS).decode()
            found |= numbered(chunk["spans"], map(json.loads, text.splitlines()))
    return found


def numbered(spans, lines):
    where = ((step, n, k) for step, n, first, last in spans for k in range(first, last + 1))
    return {at: line["line"] for at, line in zip(where, lines, strict=True)}


def test_who_subscribes_late_gets_the_whole_log(stack, job_id):
    with stack.live() as socket:
        say(socket, action="subscribe", id="1", topic={"job_id": job_id})
        told = hear(socket, "caught_up", "error")
        assert told[0]["heads"] == [["say", 1, 3000, True]]
        wanted = {("say", 1, n): f"line {n} of some length" for n in range(1, 3001)}
        assert lines_in(told) == wanted
        topic = {"job_id": job_id, "step": "say", "attempt": 1}
        say(socket, action="range", id="2", topic=topic, first=2999)
        again = lines_in(hear(socket, "caught_up", "error"))
        assert {("say", 1, 2999), ("say", 1, 3000)} <= set(again)
        assert again.items() <= wanted.items()
        say(socket, action="ping", id="3")
        assert hear(socket, "pong") == [{"type": "pong", "id": "3", "heads": []}]


@pytest.mark.parametrize("frame", ["", "{", "[]", "x" * 30_000, b"\x00\xff", '{"action":"shout"}'])
def test_odd_frames_are_answered_by_one_error_each(stack, frame):
    with stack.live() as socket:
        socket.send(frame)
        say(socket, action="ping", id="p")
        told = hear(socket, "pong")
        assert [one["type"] for one in told] == ["error", "pong"] or frame == ""


def test_what_is_not_there_is_said(stack):
    with stack.live() as socket:
        say(socket, action="subscribe", id="1", topic={"job_id": NO_JOB})
        [told] = hear(socket, "error")
        assert (told["code"], told["id"]) == ("not_found", "1")


def refused(stack, target, **more):
    with pytest.raises(InvalidStatus) as error, stack.ws(target, **more):
        pass
    return error.value.response.status_code


def test_a_used_ticket_and_another_site_are_refused(stack):
    ticket = stack.post("/api/ws-ticket")["ticket"]
    with stack.ws(f"/ws?ticket={ticket}"):
        pass
    assert refused(stack, f"/ws?ticket={ticket}") == 401
    other = stack.post("/api/ws-ticket")["ticket"]
    assert refused(stack, f"/ws?ticket={other}", origin="https://evil.example") == 403
    assert refused(stack, "/ws") == 401


def test_many_messages_at_once_are_each_answered_and_harm_nobody(stack):
    with stack.live() as socket, stack.live() as other:
        for number in range(60):
            say(socket, action="ping", id=str(number))
        say(other, action="ping", id="other")
        assert hear(other, "pong", "error")[-1]["id"] == "other"
        told = [json.loads(socket.recv(timeout=60)) for _ in range(60)]
        assert {one["type"] for one in told} <= {"pong", "error"}
        assert {one["code"] for one in told if one["type"] == "error"} <= {"too_fast"}
    assert stack.get("/healthz")[0] == 200
