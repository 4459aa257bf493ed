"""A step's log on its way: in order, whole, and never in the step's way."""

import threading
import time
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.errors import FencedError, TooLargeError, UnavailableError
from chalicelib.domain.logs import LogLine
from chalicelib.domain.values import StepRef
from chalicelib.engine.steps import Hold
from tests.fakes.clock import NOON
from tests.fakes.runner import eventually
from workers.backlog import Backlog
from workers.ending import Ending
from workers.log_stream import LogStream, Pace

HOLD = Hold(StepRef("job-1", "build"), 2, "lease-1")
# Nothing goes out by time: what a test sees was sent for being full, or at the close.
FULL_ONLY = {"early_s": 3600, "watched_s": 3600, "unwatched_s": 3600, "flush_s": 0.5}


class Engine:
    """Takes chunks; `faults` are raised first, and `gate` holds every call while it is closed."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.chunks = []
        self.live = []
        self.gate = threading.Event()
        self.gate.set()
        self.fenced = 0

    def append(self, hold, first, lines, *, live):
        assert hold == HOLD
        assert self.gate.wait(60)
        if self.faults:
            raise self.faults.pop(0)
        self.live.append(live)
        self.chunks.append((first, [line.line for line in lines]))

    def on_fenced(self):
        self.fenced += 1

    def stream(self, ending=None, **pace):
        pace = Pace(**(FULL_ONLY | pace))
        return LogStream(HOLD, self.append, ending or Ending(), self.on_fenced, pace)

    def lines(self):
        return [line for _, lines in self.chunks for line in lines]

    def firsts(self):
        return [first for first, _ in self.chunks]


def write(stream, *texts):
    for text in texts:
        stream.write("stdout", text, NOON)


def numbered(count, width=1):
    return [f"{number:0{width}}" for number in range(1, count + 1)]


def test_what_is_left_is_sent_at_the_close():
    engine = Engine()
    stream = engine.stream()
    write(stream, "one", "two")
    assert stream.close()
    assert engine.chunks == [(1, ["one", "two"])]


def test_a_stream_without_lines_sends_nothing_and_starts_no_thread():
    engine = Engine()
    before = threading.active_count()
    stream = engine.stream()
    assert threading.active_count() == before
    assert stream.close()
    assert engine.chunks == []


def test_a_full_chunk_goes_at_once_and_the_next_goes_on_counting():
    engine = Engine()
    stream = engine.stream(chunk_lines=3)
    write(stream, *numbered(7))
    assert eventually(lambda: len(engine.chunks) == 2)
    assert stream.close()
    assert engine.chunks == [(1, ["1", "2", "3"]), (4, ["4", "5", "6"]), (7, ["7"])]


def test_a_chunk_is_full_by_its_bytes_too():
    engine = Engine()
    stream = engine.stream(chunk_bytes=1000)
    write(stream, *["x" * 300] * 5)
    assert stream.close()
    # A line counts for its text and for what is sent around it.
    assert [len(lines) for _, lines in engine.chunks] == [2, 2, 1]


def test_lines_go_out_by_themselves_after_the_interval():
    engine = Engine()
    stream = engine.stream(early_s=0.01)
    write(stream, "one")
    assert eventually(lambda: engine.lines() == ["one"])
    write(stream, "two")
    assert eventually(lambda: engine.lines() == ["one", "two"])
    assert stream.close()


def test_lines_that_nobody_watches_wait_for_the_step_s_end():
    engine = Engine()
    stream = engine.stream(young_s=0, early_s=0, watched_s=0)
    write(stream, "one")
    write(stream, "two")
    assert stream.close()
    assert (engine.chunks, engine.live) == ([(1, ["one", "two"])], [False])


def test_what_waits_goes_at_once_when_somebody_comes_to_watch():
    engine = Engine()
    stream = engine.stream(young_s=0)
    write(stream, "one", "two")
    stream.watch(is_watched=True)
    assert eventually(lambda: engine.chunks == [(1, ["one", "two"])])
    write(stream, "three")
    # Who is told again that he watches has not just come.
    stream.watch(is_watched=True)
    assert stream.close()
    assert (engine.lines(), engine.live) == (["one", "two", "three"], [True, True])


def test_while_somebody_watches_lines_go_after_the_shorter_interval_and_are_live():
    engine = Engine()
    stream = engine.stream(young_s=0, watched_s=0.01)
    stream.watch(is_watched=True)
    write(stream, "one")
    assert eventually(lambda: engine.lines() == ["one"])
    stream.watch(is_watched=False)
    write(stream, "two")
    assert stream.close()
    assert (engine.lines(), engine.live) == (["one", "two"], [True, False])


def test_a_line_of_a_young_step_does_not_wait_longer_when_the_step_ages_meanwhile():
    engine = Engine()
    stream = engine.stream(young_s=0.05, early_s=0.1)
    write(stream, "one")
    assert eventually(lambda: engine.lines() == ["one"])
    assert stream.close()


def test_writing_does_not_wait_while_the_engine_hangs_and_nothing_is_lost():
    engine = Engine()
    engine.gate.clear()
    stream = engine.stream(chunk_lines=10, memory_bytes=5_000)
    texts = numbered(2_000, width=40)
    write(stream, *texts)
    assert engine.chunks == []
    engine.gate.set()
    assert stream.close()
    assert engine.lines() == texts
    sizes = [len(lines) for _, lines in engine.chunks]
    assert engine.firsts() == list(accumulate(sizes, initial=1))[:-1]


def test_a_chunk_that_was_not_accepted_is_sent_again_as_it_was():
    engine = Engine(UnavailableError("away"), UnavailableError("away"))
    stream = engine.stream(flush_s=60)
    write(stream, "one", "two")
    assert stream.close()
    assert engine.chunks == [(1, ["one", "two"])]


def test_after_the_close_an_engine_that_stays_away_loses_the_rest():
    engine = Engine(*[UnavailableError("away")] * 1000)
    stream = engine.stream(flush_s=0.05)
    write(stream, "one")
    assert not stream.close()
    assert engine.chunks == []


def test_the_worker_s_end_bounds_the_wait_for_the_engine():
    engine = Engine(*[UnavailableError("away")] * 1000)
    ending = Ending()
    stream = engine.stream(ending, flush_s=3600)
    write(stream, "one")
    ending.begin(0.05)
    assert not stream.close()


def test_a_log_that_is_given_up_holds_nobody_up_though_its_chunk_hangs():
    engine = Engine()
    engine.gate.clear()
    stream = engine.stream(flush_s=3600, chunk_lines=1)
    write(stream, "one", "two")
    stream.give_up_at(time.monotonic() + 0.05)
    stream.give_up_at(time.monotonic() + 3600)
    began = time.monotonic()
    assert not stream.close()
    assert time.monotonic() - began < 30
    engine.gate.set()
    # The chunk that was under way arrives; none follows.
    assert eventually(lambda: engine.chunks == [(1, ["one"])])
    assert eventually(lambda: not stream._is_sending)
    assert engine.lines() == ["one"]


def test_giving_up_ends_a_close_that_waits_already():
    engine = Engine(*[UnavailableError("away")] * 1000)
    stream = engine.stream(flush_s=3600)
    write(stream, "one")
    closed = []
    closer = threading.Thread(target=lambda: closed.append(stream.close()))
    closer.start()
    assert eventually(lambda: len(engine.faults) < 1000)
    stream.give_up_at(time.monotonic())
    closer.join(60)
    assert closed == [False]


def test_a_log_that_is_taken_in_time_is_whole_though_it_was_to_be_given_up():
    engine = Engine()
    stream = engine.stream()
    write(stream, "one")
    stream.give_up_at(time.monotonic() + 3600)
    assert stream.close()
    assert engine.lines() == ["one"]


def test_a_log_that_is_another_s_is_dropped_and_said_once():
    engine = Engine(FencedError("another holds it"))
    stream = engine.stream(chunk_lines=1)
    write(stream, "one")
    assert eventually(lambda: engine.fenced == 1)
    write(stream, "two", "three")
    assert not stream.close()
    assert (engine.chunks, engine.fenced) == ([], 1)


def test_a_refused_chunk_ends_the_log_and_not_the_step():
    engine = Engine(TooLargeError("too large"))
    stream = engine.stream(chunk_lines=1)
    write(stream, "one")
    assert eventually(lambda: not engine.faults)
    write(stream, "two")
    assert not stream.close()
    assert engine.fenced == 0


def test_lines_that_the_full_disk_does_not_take_are_owned_up_to(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    engine = Engine()
    engine.gate.clear()
    stream = engine.stream(chunk_lines=1, memory_bytes=500)
    write(stream, "one", "two", "three", "four", "five")
    engine.gate.set()
    stream.close()
    *kept, last = engine.lines()
    assert kept == ["one", "two", "three"][: len(kept)]
    assert f"{5 - len(kept)} lines were lost" in last


TEXTS = st.text(max_size=30)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.lists(TEXTS, max_size=30), st.integers(1, 20), st.integers(1, 4000))))
def test_lines_leave_the_backlog_as_they_went_in(rounds):
    backlog = Backlog("build", memory_bytes=1_000)
    expected, found = [], []
    for texts, max_lines, max_bytes in rounds:
        for text in texts:
            line = LogLine(NOON, "stdout", "build", text)
            backlog.add(line)
            expected.append(line)
        taken = backlog.take(max_lines, max_bytes)
        assert len(taken) <= max_lines
        assert taken or len(found) == len(expected)
        found += taken
        assert backlog.held_bytes <= 2_000
        assert len(backlog) == len(expected) - len(found)
    while taken := backlog.take(10, 1_000):
        found += taken
    backlog.close()
    assert found == expected


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "tab\there", "ø" * 10, "\u2028", '"'])
def test_a_line_is_counted_with_what_its_escapes_take(text):
    backlog = Backlog("build", memory_bytes=10_000)
    backlog.add(LogLine(NOON, "stdout", "build", text))
    sent = LogLine(NOON, "stdout", "build", text).to_json()
    assert backlog.held_bytes >= len(sent.encode())
