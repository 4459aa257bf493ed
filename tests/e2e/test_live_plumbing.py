"""Live connections through the front door: opened, answered, refused, and nothing told of them."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.running_stack import eventually

NOBODYS_JOB = "/api/jobs/0199c0de-0000-7000-8000-00000000abcd/logs/stream"
MANY = 60


def answer_to(connection, message):
    connection.send(json.dumps(message))
    return json.loads(connection.recv(timeout=60))


def threads(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("Threads:")[2].split()[0])


def refusal(stack, target):
    """Return the status with which a handshake is refused, and its problem's text."""
    with pytest.raises(InvalidStatus) as refused:
        stack.ws(target)
    response = refused.value.response
    return response.status_code, json.loads(response.body)["error"]


def raw(stack, request):
    """Return the first answer to bytes that a client would not send so."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as plain:
        plain.sendall(request.replace("HOST", f"127.0.0.1:{stack.port}").encode())
        return plain.recv(65536).decode()


def test_a_message_is_answered_on_the_connection_that_sent_it(stack):
    with stack.live() as one, stack.live() as other:
        assert answer_to(one, {"action": "ping", "id": "a"})["id"] == "a"
        assert answer_to(other, {"action": "ping", "id": "b"})["id"] == "b"


def test_a_ticket_opens_one_connection(stack):
    target = f"/ws?ticket={stack.post('/api/ws-ticket')['ticket']}"
    with stack.ws(target) as opened:
        assert answer_to(opened, {"action": "ping", "id": "1"})["type"] == "pong"
    status, said = refusal(stack, target)
    assert status == 401
    assert "ticket" in said


def test_without_a_ticket_nothing_opens(stack):
    assert refusal(stack, "/ws")[0] == 401


def test_ticket_names_the_address_that_the_front_door_serves(stack):
    assert stack.post("/api/ws-ticket")["url"] == f"ws://127.0.0.1:{stack.port}/ws"


def test_a_page_of_another_site_opens_nothing(stack):
    ticket = stack.post("/api/ws-ticket")["ticket"]
    with pytest.raises(InvalidStatus) as refused:
        stack.ws(f"/ws?ticket={ticket}", origin="https://evil.example")
    assert refused.value.response.status_code == 403
    # Nor was the ticket used up by it: the page that it belongs to still gets in.
    with stack.ws(f"/ws?ticket={ticket}", origin=stack.url) as opened:
        assert answer_to(opened, {"action": "ping", "id": "1"})["type"] == "pong"


@pytest.mark.parametrize("path", ["/ws?ticket=x", f"{NOBODYS_JOB}?token=x"])
def test_what_is_no_upgrade_is_told_so(stack, path):
    status, body = stack.get(path)
    assert status == 426
    assert "WebSocket" in json.loads(body)["error"]


def test_log_of_a_job_that_is_not_there_does_not_open(stack):
    assert refusal(stack, NOBODYS_JOB)[0] in {401, 404}


def test_what_a_client_sends_behind_a_refused_handshake_reaches_nobody(stack):
    upgrade = (
        "GET /ws?ticket=none HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    said = raw(stack, f"{upgrade}GET /_localstack/health HTTP/1.1\r\nHost: HOST\r\n\r\n")
    assert said.startswith("HTTP/1.1 401")
    assert said.count("HTTP/1.1") == 1


def test_a_message_over_what_api_gateway_takes_closes_the_connection(stack):
    with stack.live() as connection:
        connection.send("x" * (128 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=60)
        assert closed.value.rcvd.code == 1009


def test_open_connections_cost_the_front_door_no_threads(stack):
    door = stack.part("front door")
    with stack.live():
        # One was there before, so the thread that serves them is.
        before = threads(door)
        with ExitStack() as opened:
            connections = [opened.enter_context(stack.live()) for _ in range(MANY)]
            eventually(lambda: threads(door) <= before + 2)
            last = answer_to(connections[-1], {"action": "ping", "id": "last"})
            assert last["id"] == "last"


def test_neither_tickets_nor_tokens_stand_in_any_log(stack):
    ticket = stack.post("/api/ws-ticket")["ticket"]
    token = "strm_" + "0123456789abcdef" * 3
    with stack.ws(f"/ws?ticket={ticket}") as connection:
        answer_to(connection, {"action": "ping", "id": "1"})
    stack.get(f"/ws?ticket={ticket}")
    stack.get(f"{NOBODYS_JOB}?token={token}")
    refusal(stack, f"{NOBODYS_JOB}?token={token}")
    raw(stack, f"GET {NOBODYS_JOB}?token={token} with spaces HTTP/1.1\r\n\r\n")
    logs = "".join(path.read_text() for path in (stack.data / "logs").glob("*.log"))
    assert "/ws" in logs
    assert ticket not in logs
    assert token not in logs
