"""The thread of the front door that passes the bytes of live connections on."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time

import pytest

from infra.local.splice import BUFFER, Splicer

OFFERED = 64 * 1024 * 1024
# What the kernel keeps of two pairs of sockets, with room to spare, and our own buffer.
KEPT = 4 * 1024 * 1024 + BUFFER


@pytest.fixture
def splicer():
    made = Splicer()
    yield made
    made.close()


@pytest.fixture
def spliced(splicer):
    """Return a way to make a pair: the ends of client and server, with all bytes between them."""
    ends = []

    def make(early=b"", late=b""):
        client, door = socket.socketpair()
        gate, server = socket.socketpair()
        for end in (client, server):
            end.settimeout(60)
        ends.extend((client, server))
        splicer.join(door, gate, early, late)
        return client, server

    yield make
    for end in ends:
        end.close()


def received(end, size):
    data = bytearray()
    while len(data) < size:
        piece = end.recv(size - len(data))
        assert piece, f"it ended after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


def poured(end):
    """Send until nothing is taken any more; return how much was."""
    end.settimeout(0.3)
    sent, piece = 0, bytes(4096)
    while sent < OFFERED:
        try:
            sent += end.send(piece)
        except TimeoutError:
            break
    return sent


def busy_s(wait_s):
    """Return the processor's time that this process took while nobody did anything."""
    began = time.process_time()
    threading.Event().wait(wait_s)
    return time.process_time() - began


def test_bytes_pass_both_ways_after_those_that_were_read_before(spliced):
    client, server = spliced(early=b"first ", late=b"101 ")
    client.sendall(b"frame")
    server.sendall(b"answer")
    assert received(server, 11) == b"first frame"
    assert received(client, 10) == b"101 answer"


def test_many_bytes_arrive_whole_and_in_order(spliced):
    client, server = spliced()
    content = b"".join(struct.pack(">I", n) for n in range(500_000))
    writer = threading.Thread(target=server.sendall, args=(content,))
    writer.start()
    assert received(client, len(content)) == content
    writer.join()


def test_a_peer_that_does_not_read_stops_the_sender_and_loses_nothing(spliced):
    client, server = spliced()
    sent = poured(server)
    assert sent < KEPT
    assert received(client, sent) == bytes(sent)
    server.sendall(b"more")
    assert received(client, 4) == b"more"


def test_a_peer_that_does_not_read_holds_up_nobody_else(spliced):
    stuck = spliced()
    poured(stuck[1])
    client, server = spliced()
    server.sendall(b"news")
    assert received(client, 4) == b"news"
    # Nor the other direction of its own connection.
    stuck[0].sendall(b"still here")
    assert received(stuck[1], 10) == b"still here"


def test_an_end_that_says_no_more_can_still_listen(spliced):
    client, server = spliced()
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert received(server, 10) == b"last words"
    assert server.recv(1) == b""
    server.sendall(b"good bye")
    server.close()
    assert received(client, 8) == b"good bye"
    assert client.recv(1) == b""


def test_what_waits_is_delivered_before_the_end_is(spliced):
    most = poured(spliced()[1])
    # Between nothing and all that has room, some wait for the client beside the end.
    for size in range(0, most, most // 24):
        client, server = spliced()
        server.sendall(bytes(size))
        server.close()
        busy_s(0.02)
        assert received(client, size) == bytes(size)
        assert client.recv(1) == b""


def test_an_end_that_is_gone_ends_the_other(spliced):
    client, server = spliced()
    client.close()
    assert server.recv(1) == b""
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        server.sendall(bytes(OFFERED))


def test_an_end_that_goes_while_its_peer_is_stuck_costs_no_time_and_loses_nothing(spliced):
    client, server = spliced()
    sent = poured(client)
    assert busy_s(0.3) < 0.1
    client.close()
    assert busy_s(0.3) < 0.1
    assert received(server, sent) == bytes(sent)
    assert server.recv(1) == b""


def test_two_ends_that_wait_for_each_other_cost_no_time(spliced):
    client, server = spliced()
    poured(client)
    poured(server)
    assert busy_s(0.3) < 0.1


def test_five_hundred_idle_connections_need_one_thread_and_no_time(spliced):
    pairs = [spliced() for _ in range(500)]
    assert [one.name for one in threading.enumerate()].count("splicer") == 1
    assert busy_s(0.5) < 0.1
    for client, server in pairs:
        server.sendall(b"x")
        assert received(client, 1) == b"x"


class Full(selectors.DefaultSelector):
    """Of a system that watches no more than three sockets: one pair, and what wakes the thread."""

    def register(self, fileobj, events, data=None):
        if len(self.get_map()) == 3:
            raise OSError(28, "No space left on device")
        return super().register(fileobj, events, data)


def test_a_pair_that_cannot_be_watched_is_ended_and_no_other():
    splicer = Splicer(Full)
    ends = [socket.socketpair() for _ in range(4)]
    try:
        splicer.join(ends[0][1], ends[1][1])
        ends[0][0].sendall(b"one")
        assert received(ends[1][0], 3) == b"one"
        splicer.join(ends[2][1], ends[3][1])
        assert [ends[2][0].recv(1), ends[3][0].recv(1)] == [b"", b""]
        ends[0][0].sendall(b"two")
        assert received(ends[1][0], 3) == b"two"
    finally:
        splicer.close()
        for end, _ in ends:
            end.close()


def test_closing_ends_all_connections_and_the_thread(splicer, spliced):
    client, server = spliced()
    splicer.close()
    assert client.recv(1) == b""
    assert server.recv(1) == b""
    assert not [one for one in threading.enumerate() if one.name == "splicer"]
