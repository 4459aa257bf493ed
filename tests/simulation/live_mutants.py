"""Ways of live updates that are each wrong in one way. The simulator finds every one of them."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.client.merge import AttemptLog
from chalicelib.engine.live import pushed_lines, relay, sending, subscribing
from chalicelib.engine.live.relay_lock import Held
from chalicelib.store.memory_connections import MemoryConnections
from tests.simulation.live_place import CALM, Connections, Weather
from tests.simulation.mutants import Mutant
from tests.simulation.world import Build

ROUGH = Weather()


def _subscribe_last(engine, caller, connection, asked):
    """What is there is read first, and then the subscription is written."""
    calls = []

    class Later:
        def subscribe(self, *given):
            calls.append(given)

        def __getattr__(self, name):
            return getattr(engine.connections, name)

    later = replace(engine, connections=Later())
    yield from _SUBSCRIBE(later, caller, connection, asked)
    for given in calls:
        engine.connections.subscribe(*given)


_SUBSCRIBE = subscribing.subscribe


def _whatever_comes(self, first, lines):
    """Whatever is beyond the last line is next: no hole is seen."""
    self.grown(first + len(lines) - 1)
    due = [(n, line) for n, line in enumerate(lines, first) if n > self.have]
    self.have = max(self.have, first + len(lines) - 1)
    return due


def _watchers_of_all(self, channel):
    """Whoever watches anything is told."""
    self.asked.append((self._now(), channel))
    topics = {topic.channel for one in self._open.values() for topic in one.topics}
    return [one for each in topics for one in MemoryConnections.watchers(self, each)]


def _all_texts(viewer, texts):
    return [text for own in texts.values() for text in own]


def _taken_by_all(engine, connection_id):
    """Whoever has news for a connection of bare lines sends them at once."""
    return Held(engine, engine.connections.relay(connection_id))


def _with(*function):
    return Build(functions=(function,))


MUTANTS = (
    (
        Mutant("subscribed after the reading", _with(subscribing, "subscribe", _subscribe_last)),
        CALM,
    ),
    (Mutant("no holes are seen", _with(AttemptLog, "lines", _whatever_comes)), ROUGH),
    (
        Mutant("told who watches other jobs", _with(Connections, "watchers", _watchers_of_all)),
        ROUGH,
    ),
    (Mutant("told of other attempts", _with(pushed_lines, "_own", _all_texts)), ROUGH),
    (Mutant("the gone are kept", _with(sending, "part", lambda *_: None)), ROUGH),
    (Mutant("relayed by several at once", _with(relay, "take", _taken_by_all)), ROUGH),
)
