"""Requests to strangers: to the checked address only, no redirect, no more than so much."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from chalicelib.domain.addresses import read_networks
from chalicelib.domain.errors import InvalidError, PermissionDeniedError, UnavailableError
from chalicelib.net.guard import MAX_ANSWER_BYTES, GuardedHttp, resolve

LOOPBACK = read_networks(["127.0.0.0/8"])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@contextmanager
def serving(*parts, pause_s=0.0):
    """Answer each connection with the parts; yield the port and what was asked."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(_request(connection))
                    try:
                        for part in parts:
                            connection.sendall(part)
                            time.sleep(pause_s)
                    except OSError:
                        continue

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _request(connection):
    got = connection.recv(65536)
    while got.startswith(b"POST") and not got.endswith(b"body"):
        got += connection.recv(65536)
    return got


class Answers:
    """A resolver that gives one answer after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, host, port):
        self.asked.append(host)
        return self.answers.pop(0)


def post(url, resolver=resolve, allowed=LOOPBACK, total_s=5.0, **headers):
    guard = GuardedHttp(allowed, resolver, total_s)
    return guard.request("POST", url, headers, b"body")


def test_a_request_goes_to_the_checked_address_under_the_hosts_name():
    with serving(OK) as (port, asked):
        answers = Answers(["127.0.0.1"])
        answer = post(f"http://hooks.example:{port}/a?b=c", answers, X_Token="t")
    assert (answer.status, answer.body) == (200, b"hi")
    assert asked[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"host: hooks.example:{port}".encode() in asked[0].lower()
    assert asked[0].endswith(b"\r\n\r\nbody")


def test_a_name_is_looked_up_once_so_it_cannot_change_its_mind():
    with serving(OK) as (port, asked):
        answers = Answers(["127.0.0.1"], ["10.0.0.1"])
        assert post(f"http://rebind.example:{port}/", answers).status == 200
    assert (len(asked), answers.asked) == (1, ["rebind.example"])


@pytest.mark.parametrize(
    "mixed", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:7f00:1"]]
)
def test_a_name_that_leads_inside_is_refused_and_nobody_is_asked(mixed):
    with serving(OK) as (port, asked):
        with pytest.raises(PermissionDeniedError):
            post(f"http://inside.example:{port}/", Answers(mixed), allowed=())
        with pytest.raises(PermissionDeniedError):
            post(f"http://127.0.0.1:{port}/", allowed=())
        with pytest.raises(PermissionDeniedError):
            post(f"http://localhost:{port}/", allowed=())
    assert asked == []


def test_a_redirect_is_answered_as_it_is_and_not_followed():
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with serving(moved) as (port, asked):
        assert post(f"http://127.0.0.1:{port}/").status == 302
    assert len(asked) == 1


def test_no_more_than_the_cap_is_read():
    with serving(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 64) as (port, _):
        assert len(post(f"http://127.0.0.1:{port}/").body) == MAX_ANSWER_BYTES


def test_who_dribbles_is_cut_off():
    began = time.monotonic()
    parts = [b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 60]
    with serving(*parts, pause_s=0.1) as (port, _):
        with pytest.raises(UnavailableError):
            post(f"http://127.0.0.1:{port}/", total_s=0.5)
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "nonsense", [b"", b"\r\n\r\n", b"HELLO\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n"]
)
def test_an_answer_that_is_none_is_a_silence(nonsense):
    with serving(nonsense) as (port, _), pytest.raises(UnavailableError) as refused:
        post(f"http://127.0.0.1:{port}/secret-path")
    assert "secret-path" not in refused.value.message


def test_nobody_there_is_told_by_origin_only():
    with serving(OK) as (port, _):
        pass
    with pytest.raises(UnavailableError, match=f"http://127.0.0.1:{port} did not answer") as found:
        post(f"http://127.0.0.1:{port}/secret-path?token=1")
    assert "secret-path" not in found.value.message


def test_a_header_cannot_smuggle_another():
    with pytest.raises(InvalidError):
        post("http://127.0.0.1:9/", X_A="b\r\nX-C: d")


def test_a_plain_server_is_no_https_server():
    with serving(OK) as (port, asked), pytest.raises(UnavailableError):
        post(f"https://127.0.0.1:{port}/")
    assert b"POST" not in b"".join(asked)
