"""Connections of bare lines take only so much of a batch's time, and go on in another."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import RateLimitedError, UnavailableError
from chalicelib.engine.recovery import sweep
from tests.fakes.pushes import FakePushes
from tests.unit.live_house import Stage

LONGEST = 120 * 1024
LINE = "x" * 8000


class SlowPushes(FakePushes):
    """Ends of connections that take a second for each frame."""

    largest = LONGEST

    def __init__(self, clock):
        super().__init__()
        self._clock = clock

    def post(self, connection_id, text):
        super().post(connection_id, text)
        self._clock.tick(1)


class Slow(Stage):
    """A stage whose viewers of bare lines are slow; `told` are the frames of one batch."""

    def __init__(self):
        super().__init__()
        self.pushes = SlowPushes(self.clock)
        self.engine = replace(self.engine, pushes=self.pushes)

    def told(self, *changes):
        had = len(self.pushes.sent)
        self.tell(*changes)
        return [text for _, text in self.pushes.sent[had:]]


@pytest.fixture
def slow():
    return Slow()


def of_the_step(frames):
    return [line for text in frames for line in text.splitlines() if '"step":"a"' in line]


def test_a_long_log_goes_out_in_several_batches_each_line_once(slow):
    job_id, work = slow.house.job(), slow.house.take()
    slow.write(work, 1, *(f"{number} {LINE}" for number in range(250)), live=False)
    slow.lines(job_id)
    batches = []
    while changes := slow.streams.connection("c1"):
        batches.append(slow.told(*changes))
    assert [len(frames) <= 30 for frames in batches] == [True] * 3
    sent = of_the_step(text for frames in batches for text in frames)
    assert [line.split('"line":"')[1].split()[0] for line in sent] == [str(n) for n in range(250)]
    assert slow.engine.connections.relay("c1").busy_until is None


def test_of_a_job_that_is_archived_the_whole_log_comes_too(slow):
    job_id, work = slow.house.job(), slow.house.take()
    slow.write(work, 1, *(f"{number} {LINE}" for number in range(150)), live=False)
    slow.house.end(work)
    sweep(slow.engine)
    slow.lines(job_id)
    frames = []
    while changes := slow.streams.connection("c1"):
        frames += slow.told(*changes)
    assert len(of_the_step(frames)) == 150
    assert sum(text.count('"step":"_server"') for text in frames) == 4


def test_viewers_of_bare_lines_hold_up_others_for_seconds_only(slow):
    job_id, work = slow.house.job(), slow.house.take()
    names = [f"c{number}" for number in range(20)]
    for name in names:
        slow.lines(job_id, name)
        slow.told(*slow.streams.connection(name))
    slow.write(work, 1, "new")
    began = slow.clock.now()
    assert len(slow.told(*slow.streams.lines(job_id))) == 5
    assert (slow.clock.now() - began).total_seconds() == 5
    woken = [change for name in names for change in slow.streams.connection(name)]
    assert len(woken) == 15
    for change in woken:
        assert len(of_the_step(slow.told(change))) == 1


def test_one_that_reads_slowly_gets_the_whole_log_of_a_job_that_has_ended(slow):
    job_id, work = slow.house.job(), slow.house.take()
    slow.write(work, 1, *(f"{number} {LINE}" for number in range(30)), live=False)
    slow.house.end(work)
    slow.lines(job_id)
    post, taken = slow.pushes.post, []

    def three_at_a_time(connection_id, text):
        taken.append(text)
        if len(taken) % 6 > 2:
            raise RateLimitedError("its buffer is full", 1)
        post(connection_id, text)

    slow.pushes.post = three_at_a_time
    frames = []
    while changes := slow.streams.connection("c1"):
        frames += slow.told(*changes)
    assert len(of_the_step(frames)) == len(set(of_the_step(frames))) == 30


def test_one_that_takes_nothing_is_not_tried_for_ever(slow):
    job_id = slow.house.job()
    slow.lines(job_id)
    slow.pushes.full.add("c1")
    slow.tell(*slow.streams.connection("c1"))
    assert slow.streams.connection("c1") == []
    assert sum(slow.pauses) == 1


def test_who_always_has_news_keeps_nobody_sending_for_ever(slow):
    job_id, work = slow.house.job(), slow.house.take()
    slow.lines(job_id)
    slow.tell(*slow.streams.connection("c1"))
    connections, post, number = slow.engine.connections, slow.pushes.post, [1]

    def post_and_have_news(connection_id, text):
        post(connection_id, text)
        number[0] += 1
        slow.write(work, number[0], "again")
        relay = connections.relay(connection_id)
        connections.put_relay(replace(relay, is_wanted=True))

    slow.pushes.post = post_and_have_news
    slow.write(work, 1, "new")
    assert len(slow.told(*slow.streams.lines(job_id))) == 5
    assert connections.relay("c1").busy_until is None
    assert slow.streams.connection("c1") != []


def test_one_that_has_ended_already_is_not_waited_for(slow):
    job_id = slow.house.job()
    slow.lines(job_id)
    [change] = slow.streams.connection("c1")
    connections, pushes = slow.engine.connections, slow.pushes

    class Ending(FakePushes):
        def post(self, connection_id, text):
            connections.close(connection_id)
            pushes.gone.add(connection_id)
            pushes.post(connection_id, text)

    slow.engine = replace(slow.engine, pushes=Ending())
    slow.tell(change)
    assert slow.pauses == []


@pytest.mark.parametrize("skips", [True, False])
def test_a_handshake_that_fails_leaves_no_connection(slow, skips):
    job_id = slow.house.job()
    jobs = slow.engine.jobs

    class Silent:
        def __getattr__(self, name):
            return getattr(jobs, name)

        def watch(self, job_id, until):
            raise UnavailableError(f"the table of {job_id} did not answer until {until}")

    slow.engine = replace(slow.engine, jobs=Silent())
    with pytest.raises(UnavailableError):
        slow.lines(job_id, skip_backfill=skips)
    assert slow.engine.connections.of_user("id-of-maker") == []
    assert slow.engine.connections.watchers(f"job/{job_id}") == []
