"""A connection of bare lines that is woken is told of once more; one that is closed stays so."""

from chalicelib.domain.live import Mode, Topic
from chalicelib.engine.live.changes import ConnectionOpened
from chalicelib.store.connections_table import ConnectionsTable
from tests.contract.places import REGION
from tests.contract.test_changes import Stream
from tests.fakes.clock import FakeClock
from tests.fakes.live import a_connection

JOB = Topic(job_id="j1")


def test_who_is_woken_is_as_before_and_can_be_closed(connections):
    connections.open(a_connection(mode=Mode.LINES, topics=[JOB]))
    before = connections.connection("c1=")
    for _ in range(3):
        connections.wake("c1=")
    assert connections.connection("c1=") == before
    assert [one.topic for one in connections.watchers(JOB.channel)] == [JOB]
    assert connections.close("c1=") == {JOB}
    assert connections.watchers(JOB.channel) == []


def test_one_that_is_closed_is_not_woken_to_life(connections):
    connections.open(a_connection(mode=Mode.LINES))
    connections.close("c1=")
    connections.wake("c1=")
    connections.wake("nope")
    assert connections.of_user("ann") == []
    assert connections.close("c1=") == frozenset()


def test_the_stream_tells_of_each_time(emulator):
    stream = Stream(emulator, "ConnectionsTable")
    table = ConnectionsTable(stream.name, REGION, FakeClock(), emulator.host)
    table.open(a_connection("l=", mode=Mode.LINES, topics=[JOB]))
    table.wake("l=")
    table.wake("l=")
    table.wake("gone=")
    assert stream.changes() == [ConnectionOpened("l=")] * 3
