"""How far a connection of bare lines is in a loop of ten thousand: it has room in an item."""

from datetime import timedelta

from chalicelib.domain.live import Mode, Relay
from tests.fakes.clock import NOON
from tests.fakes.live import a_connection

SENT = {(f"{'build-and-publish-' * 3}漢[{index}]", 1): index % 1000 for index in range(10_000)}


def test_ten_thousand_attempts_have_room(connections):
    connections.open(a_connection(mode=Mode.LINES))
    first = connections.put_relay(Relay(connection_id="c1=", sent={("a", 1): 7}))
    relay = Relay(
        connection_id="c1=",
        sent=SENT,
        server_after="2026-11-21T12:00:00.000000Z",
        busy_until=NOON + timedelta(seconds=30),
        is_wanted=True,
        version=first.version,
    )
    kept = connections.put_relay(relay)
    assert connections.relay("c1=") == kept
    assert kept.sent == SENT
