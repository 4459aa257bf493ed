"""The client of live updates against a server that loses, doubles, cuts and refuses."""

import time

import pytest

from chalicelib.client.events import (
    AttemptChanged,
    CaughtUp,
    FellBack,
    JobChanged,
    Line,
    Reconnected,
    StepChanged,
)
from chalicelib.client.live import LiveClient
from chalicelib.client.machine import Machine, Patience
from chalicelib.client.rest import FollowTimeoutError, HttpRest, ServerError
from chalicelib.client.websocket import open_socket
from tests.fakes.live_server import live_server
from tests.fakes.live_world import LiveWorld

# A server that is silent for 15 s is left; faster, a busy machine would be taken for one.
SPEED = 10


class QuickSocket:
    """A socket that waits a tenth of what it is told."""

    def __init__(self, url):
        self._socket = open_socket(url)
        self.send, self.close = self._socket.send, self._socket.close

    def receive(self, timeout_s):
        return self._socket.receive(max(timeout_s / SPEED, 0.005))


QUICK = Machine(
    connect=QuickSocket,
    now=lambda: time.monotonic() * SPEED,
    sleep=lambda seconds: time.sleep(seconds / SPEED),
    chance=lambda: 0.5,
)


@pytest.fixture
def world():
    return LiveWorld("build", "pack")


@pytest.fixture
def server(world):
    with live_server(world) as running:
        yield running


@pytest.fixture
def client(server):
    rest = HttpRest(server.url, lambda _: "t0ken")
    return LiveClient(rest, QUICK, Patience(silence_s=20, poll_s=0.25))


def texts(events):
    return [(e.step, e.attempt, e.number, e.text) for e in events if isinstance(e, Line)]


def of_kind(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_what_was_there_comes_first_and_then_what_is_written(client, server, world):
    world.write("build", "one", "two")

    def go_on(connection):
        server.send(connection, world.write("build", "three"))
        server.send(connection, world.end())

    server.then.append(go_on)
    events = list(client.follow("j"))
    assert texts(events) == [
        ("build", 1, 1, "one"),
        ("build", 1, 2, "two"),
        ("build", 1, 3, "three"),
    ]
    caught_up = events.index(CaughtUp())
    assert [isinstance(e, Line) for e in events].index(True) < caught_up
    assert isinstance(events[caught_up + 1], Line)
    assert isinstance(events[-1], JobChanged)
    assert events[-1].status == "completed"
    assert [(e.step, e.status) for e in of_kind(StepChanged, events)] == [
        ("build", "completed"),
        ("pack", "completed"),
    ]
    assert not [path for path in server.asked if path.endswith("/logs")]


def test_lines_that_are_lost_doubled_or_late_are_told_once_and_in_order(client, server, world):
    def go_on(connection):
        one, two, three, four = (world.write("build", text)[0] for text in "abcd")
        world.write("build", "e")
        server.send(connection, [two, two, four, one, four, three])
        server.send(connection, world.end())

    server.then.append(go_on)
    events = list(client.follow("j"))
    assert [text for *_, text in texts(events)] == list("abcde")
    asked = [m for m in server.heard if m["action"] == "range"]
    assert [(m["first"], m["last"]) for m in asked] in ([(5, 5)], [])


def test_after_a_broken_connection_it_goes_on_from_what_it_has(client, server, world):
    def cut(connection):
        server.send(connection, world.write("build", "a", "b"))
        connection.socket.close()

    def go_on(connection):
        server.send(connection, world.write("build", "d"))
        server.send(connection, world.end())

    def lose(connection):
        cut(connection)
        world.write("build", "c")

    server.then.extend([lose, go_on])
    events = list(client.follow("j"))
    assert [text for *_, text in texts(events)] == list("abcd")
    assert len(of_kind(Reconnected, events)) == 1
    subscribed = [m["have"] for m in server.heard if m["action"] == "subscribe"]
    assert subscribed[:2] == [[], [["build", 1, 2]]]


def test_a_server_that_falls_silent_is_left_for_another_connection(client, server, world):
    server.then.append(lambda _: setattr(world, "answer", lambda _: []))
    answer = world.answer

    def revive(path):
        world.answer = answer
        world.end()

    tickets = server._ticket

    def ticket():
        if world.answer is not answer and len(server.heard) > 1:
            revive(None)
        return tickets()

    server._ticket = ticket
    events = list(client.follow("j"))
    assert [e.reason for e in of_kind(Reconnected, events)] == ["the server did not answer"]
    assert {"ping", "subscribe"} == {m["action"] for m in server.heard}


def test_attempts_are_told_apart(client, server, world):
    def go_on(connection):
        server.send(connection, world.write("build", "first"))
        server.send(connection, world.again("build"))
        server.send(connection, world.write("build", "second"))
        server.send(connection, world.end())

    server.then.append(go_on)
    events = [e for e in client.follow("j") if isinstance(e, Line | AttemptChanged)]
    assert texts(events) == [("build", 1, 1, "first"), ("build", 2, 1, "second")]
    assert events[1] == AttemptChanged("build", 2)


def test_long_parts_are_fetched_without_our_token(client, server, world):
    world.packs_over = 1
    world.write("build", "a", "b", "c")
    server.then.append(lambda connection: server.send(connection, world.end()))
    events = list(client.follow("j"))
    assert [text for *_, text in texts(events)] == list("abc")
    assert [path for path in server.asked if path.startswith("GET /blob/")] == ["GET /blob/1"]


def test_a_part_that_cannot_be_fetched_is_asked_for_again(client, server, world):
    world.packs_over = 1
    world.write("build", "a", "b", "c")
    world.answer, answer = (
        (lambda m: [*answer(m), world.blobs.update({"blob/0": b"torn"})][:-1]),
        world.answer,
    )
    server.then.append(lambda connection: server.send(connection, world.end()))
    assert [text for *_, text in texts(client.follow("j"))] == list("abc")


def test_without_live_updates_the_server_is_polled_and_that_is_told_once(client, server, world):
    server.has_live = False
    world.write("build", "a")
    events = client.follow("j")
    told = []
    for event in events:
        told.append(event)
        if event == CaughtUp():
            world.write("build", "b")
            world.end()
    assert of_kind(FellBack, told) == [FellBack("no ticket: no ticket today")]
    assert [text for *_, text in texts(told)] == ["a", "b"]
    assert told[-1].status == "completed"


def test_where_the_way_to_the_websocket_is_barred_the_server_is_polled(client, server, world):
    server.live_url = "ws://127.0.0.1:1"
    world.write("build", "a")
    told = []
    for event in client.follow("j"):
        told.append(event)
        if event == CaughtUp():
            world.end()
    assert "cannot be opened" in of_kind(FellBack, told)[0].reason
    assert [text for *_, text in texts(told)] == ["a"]


def test_what_was_told_live_is_not_told_again_by_polling(client, server, world):
    def cut(connection):
        server.send(connection, world.write("build", "a", "b"))
        server.has_live = False
        world.write("build", "c")
        connection.close()

    server.then.append(cut)
    told = []
    for event in client.follow("j"):
        told.append(event)
        if isinstance(event, FellBack):
            world.end()
    assert [text for *_, text in texts(told)] == list("abc")


def test_a_ticket_that_is_not_to_be_had_for_a_moment_is_asked_for_again(client, server, world):
    server.refusals.append(503)
    server.then.append(lambda connection: server.send(connection, world.end()))
    assert of_kind(FellBack, client.follow("j")) == []


def test_a_closing_for_lost_rights_is_tried_once_more_and_then_believed(client, server, world):
    def shut(connection):
        text = "your rights have changed"
        server.send(connection, [{"type": "closing", "code": "rights_lost", "message": text}])

    server.then.extend([shut, shut])
    told = []
    for event in client.follow("j"):
        told.append(event)
        if isinstance(event, FellBack):
            world.end()
    assert len(of_kind(Reconnected, told)) == 1
    assert of_kind(FellBack, told) == [FellBack("your rights have changed")]


def test_a_connection_that_has_expired_is_followed_by_another_without_a_word(
    client, server, world
):
    def expire(connection):
        server.send(connection, [{"type": "closing", "code": "expired", "message": "time"}])

    server.then.extend([expire, lambda connection: server.send(connection, world.end())])
    events = list(client.follow("j"))
    assert of_kind(Reconnected, events) == []
    assert len([path for path in server.asked if path.endswith("ws-ticket")]) == 2


def test_a_job_that_has_ended_needs_no_connection(client, server, world):
    world.write("build", "a")
    world.end("failed")
    events = list(client.follow("j"))
    assert [text for *_, text in texts(events)] == ["a"]
    assert events[-1].status == "failed"
    assert "POST /api/ws-ticket" not in server.asked


def test_a_job_that_is_not_there_is_an_error(client):
    with pytest.raises(ServerError, match="it is not there"):
        list(client.follow("nope"))


@pytest.mark.parametrize("polls", [True, False])
def test_time_can_be_limited(client, polls):
    with pytest.raises(FollowTimeoutError):
        list(client.follow("j", timeout_s=3, polls=polls))


def test_one_step_can_be_followed(client, server, world):
    def go_on(connection):
        server.send(connection, world.write("build", "a") + world.write("pack", "b"))
        server.send(connection, world.end())

    server.then.append(go_on)
    assert texts(client.follow("j", step="pack")) == [("pack", 1, 1, "b")]


def test_messages_that_nobody_knows_are_passed_over(client, server, world):
    def go_on(connection):
        connection.send("no JSON")
        connection.send("[1]")
        server.send(connection, [{"type": "from the future"}, *world.end()])

    server.then.append(go_on)
    assert list(client.follow("j"))[-1].status == "completed"


def test_the_jobs_of_a_workspace_are_told_when_they_change(client, server, world):
    world.list_job("a", "running")
    server.then.append(lambda c: server.send(c, world.list_job("b", "pending")))
    events = client.watch("shop")
    found = [next(events) for _ in range(3)]
    assert [(e.job_id, e.status) for e in of_kind(JobChanged, found)] == [
        ("a", "running"),
        ("b", "pending"),
    ]
    events.close()


def test_a_watch_goes_on_over_a_broken_connection_and_misses_nothing(client, server, world):
    def cut(connection):
        world.list_job("a", "completed")
        connection.socket.close()

    world.list_job("a", "running")
    server.then.append(cut)
    events = client.watch("shop")
    found = []
    while not found or found[-1] != ("a", "completed"):
        event = next(events)
        if isinstance(event, JobChanged):
            found.append((event.job_id, event.status))
    assert found == [("a", "running"), ("a", "completed")]
    events.close()
