"""Ports for the processes of a stack, chosen before they are bound."""

from __future__ import annotations

import socket

from infra.local import parts


def test_a_port_is_none_that_a_connection_may_be_given_meanwhile():
    chosen = {parts.free_port() for _ in range(200)}
    # Linux gives out those from 32768 on, other systems those from 49152 on.
    assert max(chosen) < 32_768
    assert min(chosen) > 1_024
    # Two that choose at once choose two.
    assert len(chosen) > 150


def test_a_port_that_is_wished_for_is_taken_if_it_is_free():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert parts.free_port(port) != port
        assert not parts.port_is_free(port)
    assert parts.free_port(port) == port
