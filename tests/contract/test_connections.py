"""What every store of connections keeps: tickets that open once, and who watches what."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.domain.live import (
    MAX_SUBSCRIPTIONS,
    Mode,
    Relay,
    Topic,
)
from chalicelib.store import dynamo
from chalicelib.store.connections_table import ConnectionsTable
from tests.contract.faults import meanwhile, no_connection, no_reply, reply_lost_once
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
    SECOND,
    a_connection,
    a_ticket,
    a_watcher,
)


@pytest.fixture
def table(connections_table):
    return connections_table


@pytest.fixture
def dynamodb(remote):
    return dynamo.connection(REGION, remote.host).client


def seen(connections, channel):
    """Return who watches, in an order of ours: stores have none."""
    return sorted(
        connections.watchers(channel), key=lambda one: (one.connection_id, one.topic.key)
    )


def numbered(count, first=1):
    return [
        Topic(job_id="j1", step="build", attempt=number) for number in range(first, first + count)
    ]


# tickets


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


# connections


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


# who watches what


def test_all_topics_of_a_job_are_found_in_one_channel_and_no_others(connections):
    others = [Topic(job_id="j10"), Topic(job_id="j10", step="build", attempt=1), JOBS]
    connections.open(a_connection())
    connections.open(a_connection("c2=", KEY, Mode.LINES))
    for topic in (JOB, FIRST, SECOND, *others):
        connections.subscribe("c1=", topic)
    connections.subscribe("c2=", JOB)
    assert {(one.connection_id, one.topic) for one in connections.watchers("job/j1")} == {
        ("c1=", JOB),
        ("c1=", FIRST),
        ("c1=", SECOND),
        ("c2=", JOB),
    }
    assert a_watcher(JOB, "c2=", KEY, Mode.LINES) in connections.watchers("job/j1")
    assert seen(connections, "workspace/demo") == [a_watcher(JOBS)]
    assert seen(connections, "workspace/dem") == []
    assert connections.connection("c1=").topics == {JOB, FIRST, SECOND, *others}


@pytest.mark.parametrize(
    "topic",
    [
        JOB,
        JOBS,
        FIRST,
        SECOND,
        Topic(job_id="j1", step="größe ✓", attempt=12),
        Topic(job_id="j1", step="a]/1#b/c", attempt=3),
        Topic(workspace="demo-2_x.y"),
    ],
)
def test_a_topic_comes_back_as_it_was(connections, topic):
    connections.open(a_connection())
    assert connections.subscribe("c1=", topic).topics == {topic}
    assert connections.connection("c1=").topics == {topic}
    assert [one.topic for one in connections.watchers(topic.channel)] == [topic]
    assert Topic.of_key(topic.key) == topic


def test_a_subscription_that_is_repeated_is_one(connections):
    connections.open(a_connection())
    for _ in range(3):
        assert connections.subscribe("c1=", JOB).topics == {JOB}
    assert seen(connections, JOB.channel) == [a_watcher(JOB)]


def test_what_is_watched_no_more_is_gone_and_a_repeat_takes_nothing_else(connections):
    connections.open(a_connection())
    connections.unsubscribe("c1=", JOB)
    connections.subscribe("c1=", JOB)
    connections.subscribe("c1=", FIRST)
    for _ in range(2):
        connections.unsubscribe("c1=", JOB)
        assert seen(connections, JOB.channel) == [a_watcher(FIRST)]
        assert connections.connection("c1=").topics == {FIRST}
    connections.unsubscribe("c1=", FIRST)
    connections.unsubscribe("nope", FIRST)
    assert connections.connection("c1=").topics == frozenset()
    assert connections.subscribe("c1=", JOB).topics == {JOB}


def test_a_connection_watches_so_many_topics_and_no_more(connections):
    connections.open(a_connection())
    *kept, last = numbered(MAX_SUBSCRIPTIONS)
    for topic in (*kept, last):
        found = connections.subscribe("c1=", topic)
    assert len(found.topics) == MAX_SUBSCRIPTIONS
    with pytest.raises(ConflictError):
        connections.subscribe("c1=", JOBS)
    assert seen(connections, JOBS.channel) == []
    assert connections.subscribe("c1=", last).topics == {*kept, last}
    connections.unsubscribe("c1=", last)
    assert connections.subscribe("c1=", JOBS).topics == {*kept, JOBS}
    assert connections.close("c1=") == {*kept, JOBS}
    assert seen(connections, "job/j1") == []


def test_who_is_behind_is_so_until_told(connections):
    connections.open(a_connection(topics=[JOB, FIRST]))
    for is_behind in (True, True, False, False):
        connections.mark_behind("c1=", JOB, is_behind=is_behind)
        wanted = [a_watcher(JOB, is_behind=is_behind), a_watcher(FIRST)]
        assert seen(connections, JOB.channel) == wanted


def test_of_a_subscription_that_is_gone_nothing_is_kept(connections):
    connections.open(a_connection())
    connections.mark_behind("c1=", JOB, is_behind=True)
    connections.mark_behind("nope", JOB, is_behind=True)
    assert seen(connections, JOB.channel) == []
    connections.subscribe("c1=", JOB)
    assert seen(connections, JOB.channel) == [a_watcher(JOB)]
    connections.mark_behind("c1=", JOB, is_behind=True)
    connections.unsubscribe("c1=", JOB)
    connections.subscribe("c1=", JOB)
    assert seen(connections, JOB.channel) == [a_watcher(JOB)]


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


# faults


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


# the items themselves


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
