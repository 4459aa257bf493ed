"""Connections of bare lines: what they get first, what then, and what ends them."""

import json

import pytest

from chalicelib.domain.live import MAX_MESSAGE_BYTES
from chalicelib.engine import queries
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.live import pushing
from chalicelib.engine.live.relay_lines import noted
from chalicelib.engine.recovery import sweep
from tests.fakes.house import a_definition, a_task
from tests.unit.live_house import Stage

LONGEST = 120 * 1024


class Strom(Stage):
    """A stage whose viewers come by Strøm's own path."""

    def __init__(self, *specs, **given):
        super().__init__(*specs, **given)
        self.pushes.largest = LONGEST

    def pushed(self, job_id, *connection_ids):
        """Bring what the streams have; return the lines that came of it."""
        had = len(self.pushes.sent)
        opened = [one for each in connection_ids for one in self.streams.connection(each)]
        self.tell(*opened, *self.streams.lines(job_id), *self.streams.job(job_id))
        sent = [text for _, text in self.pushes.sent[had:]]
        return [json.loads(line) for text in sent for line in text.splitlines()]


@pytest.fixture
def strom():
    return Strom()


def texts(told, *, server=False):
    return [one["line"] for one in told if (one["step"] == "_server") is server]


def rest(strom, job_id):
    part = queries.log_part(strom.engine, job_id, None, 0, 10**7)
    return [json.loads(line) for line in part.lines]


def test_what_is_there_comes_as_the_rest_api_gives_it_and_then_what_is_new():
    strom = Strom("a", "b")
    job_id = strom.house.job()
    first, second = strom.house.take(), strom.house.take()
    for number in range(1, 6):
        strom.write(first, number, f"first {number}", live=False)
        strom.clock.tick(1)
        strom.write(second, number, f"second {number}", live=False)
    there = rest(strom, job_id)
    strom.lines(job_id)
    assert strom.pushed(job_id, "c1") == there
    assert len(there) == 10 + 3
    strom.write(first, 6, "new")
    assert texts(strom.pushed(job_id)) == ["new"]
    strom.clock.tick(1)
    strom.house.end(first)
    assert texts(strom.pushed(job_id), server=True) == ["Step 'a' completed"]
    assert strom.pushed(job_id) == []


def test_lines_that_nobody_was_told_of_come_with_the_next_change(strom):
    job_id, work = strom.house.job(), strom.house.take()
    strom.lines(job_id)
    strom.pushed(job_id, "c1")
    strom.write(work, 1, "one", live=False)
    strom.write(work, 2, "two")
    assert texts(strom.pushed(job_id)) == ["one", "two"]
    strom.write(work, 3, "three", live=False)
    strom.house.end(work)
    assert texts(strom.pushed(job_id)) == ["three"]


def test_who_skips_what_is_there_gets_none_of_it(strom):
    job_id, work = strom.house.job(), strom.house.take()
    strom.write(work, 1, "old")
    strom.streams.lines(job_id)
    strom.clock.tick(0.5)
    strom.lines(job_id, skip_backfill=True)
    assert strom.pushed(job_id, "c1") == []
    strom.write(work, 2, "new")
    strom.clock.tick(1)
    strom.house.end(work)
    told = strom.pushed(job_id)
    assert texts(told) == ["new"]
    assert texts(told, server=True) == ["Step 'a' completed", "Job completed"]


def test_frames_end_with_lines_and_hold_28_kb_at_most(strom):
    job_id, work = strom.house.job(), strom.house.take()
    written = [f"{number} {'ø' * 500}" for number in range(200)]
    strom.write(work, 1, *written)
    strom.lines(job_id)
    assert texts(strom.pushed(job_id, "c1")) == written
    frames = strom.pushes.frames("c1")
    assert max(len(text.encode()) for text in frames) <= MAX_MESSAGE_BYTES
    assert all(text.endswith("\n") for text in frames)
    assert len(frames) < 10


@pytest.mark.parametrize("letter", ["x", "ø", "\x01", "\U0001f600"])
def test_a_long_line_stands_alone_and_is_cut_where_nothing_longer_is_taken(strom, letter):
    job_id, work = strom.house.job(), strom.house.take()
    strom.write(work, 1, "before", letter * 40_000, letter * 200_000, "behind")
    strom.lines(job_id)
    told = texts(strom.pushed(job_id, "c1"))
    assert (told[0], told[3]) == ("before", "behind")
    assert told[2].removesuffix("…") == letter * (len(told[2]) - 1)
    sizes = [len(text.encode()) for text in strom.pushes.frames("c1")]
    assert max(sizes) <= LONGEST
    assert max(sizes) > LONGEST - 20
    if letter == "x":
        assert told[1] == letter * 40_000


def test_a_fresh_connection_that_is_not_known_yet_is_tried_again(strom):
    job_id = strom.house.job()
    strom.lines(job_id)
    strom.pushes.gone.add("c1")

    def pause(seconds):
        strom.clock.tick(seconds)
        strom.pauses.append(seconds)
        if len(strom.pauses) == 4:
            strom.pushes.gone.clear()

    pushing.on_changes(strom.engine, strom.streams.connection("c1"), pause)
    assert sum(strom.pauses) == 2
    assert len(strom.pushes.frames("c1")) == 1


def test_one_that_stays_gone_is_forgotten(strom):
    job_id = strom.house.job()
    strom.lines(job_id)
    strom.pushes.gone.add("c1")
    assert strom.pushed(job_id, "c1") == []
    assert sum(strom.pauses) == 5
    assert strom.engine.connections.watchers(f"job/{job_id}") == []
    assert strom.engine.jobs.get(job_id).watched_until is None


def test_one_that_takes_no_more_gets_the_rest_with_the_next_change(strom):
    job_id, work = strom.house.job(), strom.house.take()
    strom.lines(job_id)
    strom.pushed(job_id, "c1")
    strom.pushes.full.add("c1")
    strom.write(work, 1, "one")
    assert strom.pushed(job_id) == []
    strom.pushes.full.clear()
    strom.write(work, 2, "two")
    assert texts(strom.pushed(job_id)) == ["one", "two"]


def test_the_log_of_a_job_that_is_archived_comes_from_there_once(strom):
    job_id, work = strom.house.job(), strom.house.take()
    strom.write(work, 1, "one", "two")
    strom.house.end(work)
    sweep(strom.engine)
    strom.clock.tick(3600 * 24 * 40)
    there = [json.loads(line) for line in read_log(strom.engine, job_id)]
    strom.lines(job_id)
    again = strom.streams.connection("c1")
    strom.tell(*again)
    strom.tell(*again)
    [frame] = strom.pushes.frames("c1")
    assert [json.loads(line) for line in frame.splitlines()] == there
    assert texts(there) == ["one", "two"]


def test_secrets_stand_in_no_bare_line():
    definition = a_definition(a_task("a"), secrets={"KEY": "hunter2-of-the-shop"})
    strom = Strom(definition=definition)
    job_id, work = strom.house.job(), strom.house.take()
    strom.write(work, 1, "key hunter2-of-the-shop")
    strom.lines(job_id)
    strom.pushed(job_id, "c1")
    strom.write(work, 2, "hunter2-of-the-shop again")
    strom.house.end(work, error="hunter2-of-the-shop")
    strom.pushed(job_id)
    told = "".join(strom.pushes.frames("c1"))
    assert "hunter2" not in told
    assert told.count("again") == 1


def test_who_may_see_the_job_no_more_gets_nothing_more(strom):
    job_id, work = strom.house.job(), strom.house.take()
    strom.lines(job_id)
    strom.pushed(job_id, "c1")
    del strom.gate.callers["maker"]
    strom.write(work, 1, "one")
    assert strom.pushed(job_id) == []
    assert strom.pushes.closed == ["c1"]


def test_what_is_noted_of_the_jobs_own_lines_stays_small():
    strom = Strom(*(f"s{number}" for number in range(30)))
    job_id = strom.house.job()
    strom.lines(job_id)
    strom.pushed(job_id, "c1")
    for _ in range(30):
        strom.clock.tick(5)
        strom.house.end(strom.house.take())
        strom.pushed(job_id)
    relay = strom.engine.connections.relay("c1")
    assert len(relay.sent) < 15
    assert relay.busy_until is None
    assert noted(relay.sent, relay.server_after, []) == (dict(relay.sent), relay.server_after)
