"""What every store of connections keeps: who opened each, when it is over, what goes with it."""

from datetime import timedelta

import pytest

from chalicelib.domain import keys
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.live import Mode, Relay
from chalicelib.store.connections_table import ConnectionsTable
from tests.contract.places import REGION
from tests.fakes.clock import NOON
from tests.fakes.live import (
    ANN,
    BOB,
    DIGEST,
    FIRST,
    JOB,
    JOBS,
    KEY,
    NOBODY,
    a_connection,
    a_ticket,
    a_watcher,
    seen,
)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("identity", [ANN, KEY, NOBODY])
def test_a_connection_comes_back_as_it_was_opened(connections, identity, mode):
    opened = a_connection(identity=identity, mode=mode)
    connections.open(opened)
    assert connections.connection("c1=") == opened


def test_a_connection_that_opens_with_topics_watches_them(connections):
    opened = a_connection(topics=[JOB], mode=Mode.LINES)
    connections.open(opened)
    assert connections.connection("c1=") == opened
    assert seen(connections, JOB.channel) == [a_watcher(JOB, mode=Mode.LINES)]
    assert connections.close("c1=") == {JOB}
    assert seen(connections, JOB.channel) == []


def test_there_is_no_connection_that_nobody_opened(connections):
    with pytest.raises(NotFoundError):
        connections.connection("c1=")
    with pytest.raises(NotFoundError):
        connections.subscribe("c1=", JOB)
    assert seen(connections, JOB.channel) == []


def test_a_connection_that_is_over_is_not_there(connections, clock):
    opened = a_connection()
    connections.open(opened)
    connections.subscribe("c1=", JOB)
    clock.move_to(opened.expires_at - timedelta(microseconds=1))
    assert seen(connections, JOB.channel) == [a_watcher(JOB)]
    clock.move_to(opened.expires_at)
    assert seen(connections, JOB.channel) == []
    assert list(connections.of_user("ann")) == []
    with pytest.raises(NotFoundError):
        connections.connection("c1=")
    with pytest.raises(NotFoundError):
        connections.subscribe("c1=", FIRST)


def test_a_user_has_his_connections_and_those_of_his_keys(connections):
    connections.open(a_connection("a="))
    connections.open(a_connection("b=", KEY))
    connections.open(a_connection("c=", BOB))
    connections.open(a_connection("d=", NOBODY))
    assert sorted(connections.of_user("ann")) == ["a=", "b="]
    assert list(connections.of_user("bob")) == ["c="]
    assert list(connections.of_user("an")) == []
    connections.close("a=")
    assert list(connections.of_user("ann")) == ["b="]


def test_what_is_closed_leaves_nothing_but_others(connections):
    for connection_id in ("c1=", "c2="):
        connections.open(a_connection(connection_id))
        for topic in (JOB, FIRST, JOBS):
            connections.subscribe(connection_id, topic)
    assert connections.close("c1=") == {JOB, FIRST, JOBS}
    assert connections.close("c1=") == frozenset()
    with pytest.raises(NotFoundError):
        connections.connection("c1=")
    with pytest.raises(NotFoundError):
        connections.subscribe("c1=", JOB)
    assert seen(connections, JOB.channel) == [a_watcher(FIRST, "c2="), a_watcher(JOB, "c2=")][::-1]
    assert seen(connections, JOBS.channel) == [a_watcher(JOBS, "c2=")]


def test_a_connection_can_be_closed_when_it_is_over(connections, clock):
    connections.open(a_connection(topics=[JOB]))
    clock.tick(hours=3)
    assert connections.close("c1=") == {JOB}
    assert connections.close("c1=") == frozenset()


def test_every_item_expires_and_only_a_connections_own_has_a_mode(moto, clock):
    name = moto.table("ConnectionsTable")
    table = ConnectionsTable(name, REGION, clock)
    table.put_ticket(a_ticket())
    table.open(a_connection(mode=Mode.LINES, topics=[JOB]))
    table.subscribe("c1=", FIRST)
    table.put_relay(Relay(connection_id="c1="))
    rows = moto.client("dynamodb").scan(TableName=name)["Items"]
    assert len(rows) == 6
    assert all(int(row["expires"]["N"]) > NOON.timestamp() for row in rows)
    # The filter of the stream in infra/resources.yaml looks at it.
    with_mode = {row["pk"]["S"]: row["mode"] for row in rows if "mode" in row}
    assert with_mode == {keys.connection_pk("c1="): {"S": "lines"}}
    table.close("c1=")
    assert [row["pk"]["S"] for row in moto.client("dynamodb").scan(TableName=name)["Items"]] == [
        keys.ticket_pk(DIGEST)
    ]
