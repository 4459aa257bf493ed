"""Subscriptions that others cross, and those of which requests or replies are lost."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.domain.live import MAX_SUBSCRIPTIONS
from chalicelib.store.connections_table import ConnectionsTable
from tests.contract.faults import meanwhile, no_connection, no_reply, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.live import FIRST, JOB, JOBS, a_connection, a_watcher, numbered


@pytest.fixture
def table(connections_table):
    return connections_table


@pytest.mark.slow
def test_of_thirty_subscriptions_at_once_twenty_stand_and_the_others_are_told(emulator, clock):
    table = ConnectionsTable(emulator.table("ConnectionsTable"), REGION, clock, emulator.host)
    table.open(a_connection())
    topics, start = numbered(30), Barrier(15)

    def subscribe(number):
        kept = []
        start.wait()
        for topic in topics[number * 2 : number * 2 + 2]:
            try:
                table.subscribe("c1=", topic)
            except ConflictError:
                continue
            # Who pushes finds it from then on.
            assert a_watcher(topic) in table.watchers("job/j1")
            kept.append(topic)
        return kept

    with ThreadPoolExecutor(15) as pool:
        kept = {topic for some in pool.map(subscribe, range(15)) for topic in some}
    assert len(kept) == MAX_SUBSCRIPTIONS
    assert table.connection("c1=").topics == kept
    assert {one.topic for one in table.watchers("job/j1")} == kept


@pytest.mark.slow
def test_a_connection_that_is_closed_while_it_subscribes_leaves_nothing(emulator, clock):
    table = ConnectionsTable(emulator.table("ConnectionsTable"), REGION, clock, emulator.host)
    for _ in range(15):
        table.open(a_connection())
        start = Barrier(6)

        def subscribe(topic, start=start):
            start.wait()
            try:
                table.subscribe("c1=", topic)
                table.mark_behind("c1=", topic, is_behind=True)
            except NotFoundError:
                return

        with ThreadPoolExecutor(6) as pool:
            done = [pool.submit(subscribe, topic) for topic in numbered(5)]
            start.wait()
            table.close("c1=")
        assert [one.result() for one in done] == [None] * 5
        assert table.watchers("job/j1") == []
        assert table.of_user("ann") == []


def test_what_it_subscribed_to_while_it_was_closed_goes_with_it(table, dynamodb):
    table.open(a_connection(topics=[JOB]))
    with meanwhile(dynamodb, "TransactWriteItems", 1, lambda: table.subscribe("c1=", FIRST)):
        assert table.close("c1=") == {JOB, FIRST}
    assert table.watchers("job/j1") == []
    with pytest.raises(NotFoundError):
        table.connection("c1=")


def test_who_was_closed_while_he_subscribed_is_told_and_leaves_nothing(table, dynamodb):
    table.open(a_connection())
    with (
        meanwhile(dynamodb, "TransactWriteItems", 1, lambda: table.close("c1=")),
        pytest.raises(NotFoundError),
    ):
        table.subscribe("c1=", FIRST)
    assert table.watchers("job/j1") == []


def test_a_place_that_was_taken_meanwhile_is_not_taken_again(table, dynamodb):
    *kept, last = numbered(MAX_SUBSCRIPTIONS)
    table.open(a_connection(topics=kept))
    with (
        meanwhile(dynamodb, "TransactWriteItems", 1, lambda: table.subscribe("c1=", last)),
        pytest.raises(ConflictError, match="20 topics"),
    ):
        table.subscribe("c1=", JOBS)
    assert table.watchers(JOBS.channel) == []


def test_a_subscription_whose_reply_was_lost_stands_once(table, dynamodb):
    table.open(a_connection())
    with reply_lost_once(dynamodb, "TransactWriteItems") as lost:
        table.subscribe("c1=", JOB)
    assert lost
    assert table.watchers(JOB.channel) == [a_watcher(JOB)]
    with reply_lost_once(dynamodb, "TransactWriteItems") as lost:
        table.unsubscribe("c1=", JOB)
    assert lost
    assert table.watchers(JOB.channel) == []


def test_a_subscription_that_was_not_answered_is_found_by_the_repeat(table, dynamodb):
    table.open(a_connection())
    with no_reply(dynamodb, "TransactWriteItems"), pytest.raises(UnavailableError):
        table.subscribe("c1=", JOB)
    assert table.subscribe("c1=", JOB).topics == {JOB}
    assert table.watchers(JOB.channel) == [a_watcher(JOB)]


def test_a_subscription_that_did_not_arrive_leaves_no_half(table, dynamodb):
    table.open(a_connection())
    with no_connection(dynamodb, "TransactWriteItems"), pytest.raises(UnavailableError):
        table.subscribe("c1=", JOB)
    assert table.connection("c1=").topics == frozenset()
    assert table.watchers(JOB.channel) == []


@pytest.mark.parametrize(
    ("code", "reasons"),
    [
        ("TransactionCanceledException", ["TransactionConflict", "None"]),
        ("TransactionConflictException", []),
    ],
)
def test_a_write_that_another_crossed_is_tried_again(table, dynamodb, code, reasons):
    table.open(a_connection())
    with crossed(dynamodb, code, reasons, times=3) as left:
        table.subscribe("c1=", JOB)
    assert not left
    assert table.watchers(JOB.channel) == [a_watcher(JOB)]


def test_a_write_that_is_crossed_without_end_is_given_up(table, dynamodb):
    table.open(a_connection())
    reasons = ["TransactionConflict", "None"]
    with (
        crossed(dynamodb, "TransactionCanceledException", reasons, times=99) as left,
        pytest.raises(UnavailableError, match="did not answer as it should"),
    ):
        table.subscribe("c1=", JOB)
    assert left


@contextmanager
def crossed(client, code, reasons, times):
    """Transactions are refused so often, as those that another write is in the way of."""
    left = [None] * times

    def refuse(**_):
        if left:
            left.pop()
            answer = {"Error": {"Code": code, "Message": "as the test wants"}}
            answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]
            raise ClientError(answer, "TransactWriteItems")

    event = "before-call.dynamodb.TransactWriteItems"
    client.meta.events.register_first(event, refuse)
    try:
        yield left
    finally:
        client.meta.events.unregister(event, refuse)
