"""What every store of connections keeps: tickets that open once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from chalicelib.domain.errors import NotFoundError
from chalicelib.store.connections_table import ConnectionsTable
from tests.contract.faults import meanwhile, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON
from tests.fakes.live import ANN, DIGEST, KEY, NOBODY, a_ticket


@pytest.fixture
def table(connections_table):
    return connections_table


@pytest.mark.parametrize("identity", [ANN, KEY, NOBODY])
def test_a_ticket_is_given_once(connections, identity):
    ticket = a_ticket(identity)
    connections.put_ticket(ticket)
    assert connections.take_ticket(DIGEST, NOON) == ticket
    with pytest.raises(NotFoundError):
        connections.take_ticket(DIGEST, NOON)


def test_a_ticket_that_is_late_opens_nothing(connections, clock):
    ticket = a_ticket()
    connections.put_ticket(ticket)
    with pytest.raises(NotFoundError):
        connections.take_ticket(DIGEST, ticket.expires_at)


def test_a_ticket_is_good_to_its_last_moment(connections):
    ticket = a_ticket()
    connections.put_ticket(ticket)
    just_before = ticket.expires_at - timedelta(microseconds=1)
    assert connections.take_ticket(DIGEST, just_before) == ticket


def test_there_is_no_ticket_that_nobody_made(connections):
    connections.put_ticket(a_ticket())
    with pytest.raises(NotFoundError):
        connections.take_ticket("e" * 64, NOON)


def test_of_two_that_take_a_ticket_at_once_one_has_it(table, dynamodb):
    table.put_ticket(a_ticket())
    first = []
    with (
        meanwhile(
            dynamodb, "DeleteItem", 1, lambda: first.append(table.take_ticket(DIGEST, NOON))
        ),
        pytest.raises(NotFoundError),
    ):
        table.take_ticket(DIGEST, NOON)
    assert first == [a_ticket()]


def test_nobody_gets_a_ticket_of_which_the_reply_was_lost(table, dynamodb):
    table.put_ticket(a_ticket())
    with reply_lost_once(dynamodb, "DeleteItem") as lost, pytest.raises(NotFoundError):
        table.take_ticket(DIGEST, NOON)
    assert lost


@pytest.mark.slow
def test_of_sixteen_that_take_a_ticket_one_has_it(emulator, clock):
    table = ConnectionsTable(emulator.table("ConnectionsTable"), REGION, clock, emulator.host)
    for number in range(10):
        digest = f"{number:064d}"
        table.put_ticket(replace(a_ticket(), digest=digest))
        start = Barrier(16)

        def take(_, digest=digest, start=start):
            start.wait()
            try:
                return table.take_ticket(digest, NOON).digest
            except NotFoundError:
                return None

        with ThreadPoolExecutor(16) as pool:
            got = [one for one in pool.map(take, range(16)) if one]
        assert got == [digest]
