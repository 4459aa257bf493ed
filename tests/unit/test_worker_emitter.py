"""What a consumer prints as events: found in its lines, and tried until it is accepted."""

import time

import pytest

from chalicelib.domain.errors import InvalidError, RateLimitedError, UnavailableError
from chalicelib.domain.event_sources import MAX_EVENT_BYTES, EventSource
from chalicelib.domain.values import StepRef
from chalicelib.engine.steps import Hold
from chalicelib.runner.events import EventScanner
from chalicelib.runner.lines import LineSplitter
from chalicelib.runner.spec import Cancel
from workers.emitter import Emitter, Patience

HOLD = Hold(StepRef("job-1", "read"), 1, "lease-1")
SOURCE = EventSource(workspace="feed", source_id="feed/queue", target_task="ship")


class Server:
    def __init__(self, *faults):
        self.faults = list(faults)
        self.asked = []
        self.accepted = []

    def emit(self, hold, source, number, event):
        assert (hold, source) == (HOLD, SOURCE)
        self.asked.append(number)
        if self.faults:
            fault = self.faults.pop(0)
            if fault is not None:
                raise fault
        self.accepted.append((number, event))


def found_in(*chunks):
    events, notes, splitter = [], [], LineSplitter()
    scanner = EventScanner(events.append, notes.append)
    for chunk in chunks:
        for piece in splitter.feed(chunk):
            scanner.add(piece)
    for piece in splitter.finish():
        scanner.add(piece)
    return events, notes


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b'{"a": 1}\n', [{"a": 1}]),
        (b'  {"a": {"b": []}} \r\n{}\n', [{"a": {"b": []}}, {}]),
        (b'log\n[1]\n"x"\n{broken\n{"a":1} tail\nOUTPUT: {"a": 1}\n{"b": 2}', [{"b": 2}]),
        (b'"{"\nx {"a": 1}\n', []),
    ],
)
def test_a_line_that_is_a_json_object_is_an_event(text, events):
    assert found_in(text) == (events, [])
    assert found_in(*(text[i : i + 1] for i in range(len(text)))) == (events, [])


def test_an_event_may_be_longer_than_a_line_of_the_log_but_not_without_end():
    long = b'{"a": "' + b"x" * (MAX_EVENT_BYTES - 20) + b'"}\n'
    events, notes = found_in(long)
    assert ([len(one["a"]) for one in events], notes) == ([MAX_EVENT_BYTES - 20], [])
    events, notes = found_in(b'{"a": "' + b"x" * (2 * MAX_EVENT_BYTES) + b'"}\n{"b": 1}\n')
    assert events == [{"b": 1}]
    assert notes == ["… an event over 256 KB is not emitted"]


def test_an_event_is_tried_until_it_is_accepted():
    server, notes = Server(RateLimitedError("full", 0), UnavailableError("away"), None), []
    emitter = Emitter(server, HOLD, SOURCE, Patience(Cancel()), notes.append)
    emitter.emit({"a": 1})
    emitter.emit({"a": 2})
    assert server.accepted == [(1, {"a": 1}), (2, {"a": 2})]
    assert server.asked == [1, 1, 1, 2]
    assert notes == []


def test_an_event_that_is_refused_for_good_says_so_in_the_log():
    server, notes = Server(InvalidError("no version")), []
    emitter = Emitter(server, HOLD, SOURCE, Patience(Cancel()), notes.append)
    emitter.emit({"a": 1})
    emitter.emit({"a": 2})
    assert notes == ["… event 1 was refused: no version"]
    assert server.accepted == [(2, {"a": 2})]


def test_a_consumer_that_is_to_end_is_not_held_up_and_its_events_are_tried_once_more():
    cancel, notes = Cancel(), []
    server = Server(RateLimitedError("full", 60), None)
    emitter = Emitter(server, HOLD, SOURCE, Patience(cancel), notes.append)
    cancel.set()
    began = time.monotonic()
    emitter.emit({"a": 1})
    emitter.emit({"a": 2})
    assert time.monotonic() - began < 30
    assert notes == ["… event 1 was not emitted: full"]
    assert server.accepted == [(2, {"a": 2})]


def test_nothing_is_waited_for_beyond_the_consumers_deadline():
    server, notes = Server(RateLimitedError("full", 60)), []
    patience = Patience(Cancel(), time.monotonic() + 0.1)
    Emitter(server, HOLD, SOURCE, patience, notes.append).emit({})
    assert notes == ["… event 1 was not emitted: full"]
