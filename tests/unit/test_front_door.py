"""The front door and clients that speak oddly: an answer each, and no secret told."""

from __future__ import annotations

import socket
import threading

import pytest
from chalice.app import Chalice

from infra.local.frontdoor import FrontDoor
from infra.local.upgrade import Gateway, Refused

CHUNKED = "Transfer-Encoding: chunked\r\n"
SECRET = "a-ticket-that-nobody-sees"


@pytest.fixture
def door():
    served = FrontDoor(Chalice("door"), 0)
    thread = threading.Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def answered(door, target="/api/x", headers="", body=""):
    """Return all that is answered to a request of these bytes; the client stays and waits."""
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{door.server_port}\r\n{headers}\r\n"
    with socket.create_connection(("127.0.0.1", door.server_port), timeout=30) as client:
        client.sendall(f"{head}{body}".encode("latin-1"))
        said = b""
        while more := client.recv(65536):
            said += more
    return said.decode()


@pytest.mark.parametrize("size", ["-1", "", "zz", "0x10", "+5", "1_0", "f" * 30])
def test_a_chunk_without_a_size_is_refused_and_no_more_is_read(door, capfd, size):
    said = answered(door, headers=CHUNKED, body=f"{size}\r\nfive5\r\n0\r\n\r\n")
    assert said.startswith("HTTP/1.1 400 ")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("length", ["9" * 5000, "99999999"])
def test_a_length_beyond_all_measure_is_refused(door, capfd, length):
    assert answered(door, headers=f"Content-Length: {length}\r\n").startswith("HTTP/1.1 413 ")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "origin", ["http://[", "null", "", "http://evil.example", "http://x@127.0.0.1:HERE"]
)
def test_an_origin_that_is_none_of_ours_is_refused_however_it_is_spelled(door, capfd, origin):
    spelled = origin.replace("HERE", str(door.server_port))
    assert answered(door, headers=f"Origin: {spelled}\r\n").startswith("HTTP/1.1 403 ")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "target",
    [
        f"http://127.0.0.1/ws?ticket={SECRET}",
        f"http://127.0.0.1/hooks/x?secret={SECRET}",
        f"http://127.0.0.1/approvals/{SECRET}",
        f"http://[?{SECRET}",
        f"ws?ticket={SECRET}",
    ],
)
def test_a_target_that_is_no_path_is_refused_and_nothing_of_it_is_told(door, capfd, target):
    assert answered(door, target=target).startswith("HTTP/1.1 400 ")
    told = capfd.readouterr().err
    assert "POST … 400" in told
    assert SECRET not in told


def test_what_concerns_the_connection_with_the_client_alone_is_not_passed_on():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        heard = []

        def refuse():
            server, _ = listening.accept()
            with server:
                heard.append(server.recv(65536).decode())
                server.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        gateway = Gateway("127.0.0.1", listening.getsockname()[1], "/_aws/execute-api/a/live")
        given = {
            "Host": "elsewhere",
            "Connection": "keep-alive",
            "Upgrade": "h2c",
            "Content-Length": "5",
            "Transfer-Encoding": "chunked",
            "Expect": "100-continue",
            "Origin": "http://here",
            "Sec-WebSocket-Key": "key",
        }
        assert gateway.open("ticket=t", given.items()) == Refused(403)
        thread.join()
    lines = heard[0].rstrip("\r\n").split("\r\n")
    assert lines == [
        "GET /_aws/execute-api/a/live?ticket=t HTTP/1.1",
        f"Host: 127.0.0.1:{gateway.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Origin: http://here",
        "Sec-WebSocket-Key: key",
    ]
