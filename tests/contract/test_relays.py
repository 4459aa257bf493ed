"""What every store keeps of connections of bare lines: how far each is, for one sender only."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.live import Mode, Relay
from tests.contract.faults import meanwhile, reply_lost_once
from tests.fakes.clock import NOON
from tests.fakes.live import a_connection


@pytest.fixture
def table(connections_table):
    return connections_table


def a_relay(version=0, **known):
    return Relay(connection_id="c1=", version=version, **known)


def test_of_a_new_connection_nothing_was_relayed(connections):
    connections.open(a_connection(mode=Mode.LINES))
    assert connections.relay("c1=") == a_relay()
    assert connections.relay("nope") == Relay(connection_id="nope")


def test_a_relay_comes_back_as_it_was_put(connections):
    connections.open(a_connection(mode=Mode.LINES))
    busy = a_relay(busy_until=NOON + timedelta(seconds=5, microseconds=7))
    kept = connections.put_relay(busy)
    assert kept == replace(busy, version=kept.version)
    assert connections.relay("c1=") == kept
    sent = {("build", 1): 9_999_999_999, ("build[0]", 12): 1, ("größe", 1): 0}
    far = replace(kept, sent=sent, server_after="2026-11-21T12:00:00.000001Z", is_wanted=True)
    assert connections.put_relay(far) == connections.relay("c1=")
    assert connections.relay("c1=") == replace(far, version=connections.relay("c1=").version)
    idle = connections.put_relay(replace(connections.relay("c1="), busy_until=None))
    assert connections.relay("c1=") == idle
    assert idle.version != kept.version


@pytest.mark.parametrize("earlier", [0, 1])
def test_of_two_that_put_a_relay_the_second_conflicts(connections, earlier):
    connections.open(a_connection(mode=Mode.LINES))
    for _ in range(earlier):
        connections.put_relay(connections.relay("c1="))
    read = connections.relay("c1=")
    first = connections.put_relay(replace(read, server_after="first"))
    # Also one that says the same: of two that want to send, one does.
    for second in (replace(read, server_after="second"), replace(read, server_after="first")):
        with pytest.raises(ConflictError):
            connections.put_relay(second)
    assert connections.relay("c1=") == first


@pytest.mark.parametrize("puts", [0, 1, 2])
def test_a_connection_that_is_closed_is_relayed_no_more(connections, puts):
    connections.open(a_connection(mode=Mode.LINES))
    relay = connections.relay("c1=")
    for _ in range(puts):
        relay = connections.put_relay(relay)
    connections.close("c1=")
    with pytest.raises(NotFoundError):
        connections.put_relay(relay)
    assert connections.relay("c1=") == a_relay()


@pytest.mark.parametrize("puts", [0, 1])
def test_a_relay_whose_reply_was_lost_is_put_once(table, dynamodb, puts):
    table.open(a_connection(mode=Mode.LINES))
    relay = a_relay()
    for _ in range(puts):
        relay = table.put_relay(relay)
    operation = "UpdateItem" if puts else "TransactWriteItems"
    with reply_lost_once(dynamodb, operation) as lost:
        kept = table.put_relay(replace(relay, is_wanted=True))
    assert lost
    assert table.relay("c1=") == kept


def test_a_relay_that_begins_while_its_connection_is_closed_leaves_nothing(table, dynamodb):
    table.open(a_connection(mode=Mode.LINES))
    with (
        meanwhile(dynamodb, "TransactWriteItems", 1, lambda: table.close("c1=")),
        pytest.raises(NotFoundError),
    ):
        table.put_relay(a_relay(is_wanted=True))
    assert table.relay("c1=") == a_relay()
    table.open(a_connection("c1=", mode=Mode.LINES))
    with meanwhile(
        dynamodb, "TransactWriteItems", 1, lambda: table.put_relay(a_relay(is_wanted=True))
    ):
        table.close("c1=")
    assert table.relay("c1=") == a_relay()
