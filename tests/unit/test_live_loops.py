"""A job of many attempts, followed: what there is comes in few reads and few messages."""

import gzip
import json
from dataclasses import replace

import pytest

from chalicelib.engine.live.backfill import MOST_APART
from tests.unit.live_house import Talk, kinds


def a_talk(count):
    """Return a talk and a job of so many steps, each of which has ended after two lines."""
    names = [f"s{number:02}" for number in range(count)]
    talk = Talk(*names)
    job_id = talk.house.job()
    for _ in names:
        work = talk.house.take()
        talk.clock.tick(1)
        talk.write(work, 1, f"{work.hold.ref.step} one", f"{work.hold.ref.step} two")
        talk.house.end(work)
    return talk, job_id


def order_of_start(told):
    return [head[0] for head in reversed(told[0]["heads"])]


def test_up_to_sixteen_attempts_each_have_a_message_for_lines_and_one_for_the_end():
    talk, job_id = a_talk(MOST_APART)
    told = talk.subscribe(job_id=job_id)
    wanted = ["subscribed", *["lines"] * MOST_APART, *["end"] * MOST_APART, "caught_up"]
    assert kinds(told) == wanted


def test_lines_of_more_attempts_come_together_oldest_attempt_first():
    talk, job_id = a_talk(MOST_APART + 1)
    told = talk.subscribe(job_id=job_id)
    assert kinds(told) == ["subscribed", "chunks", "caught_up"]
    assert [head[2:] for head in told[0]["heads"]] == [[2, True]] * (MOST_APART + 1)
    [chunk] = told[1]["chunks"]
    assert chunk["spans"] == [[step, 1, 1, 2] for step in order_of_start(told)]
    key = chunk["url"].removeprefix("memory:").partition("?")[0]
    rows = gzip.decompress(talk.engine.blobs.get(key)).decode().splitlines()
    assert [json.loads(row)["line"] for row in rows] == [
        f"{step} {word}" for step in order_of_start(told) for word in ("one", "two")
    ]


def test_who_has_most_of_it_gets_the_rest_by_messages():
    talk, job_id = a_talk(MOST_APART + 1)
    have = [[f"s{number:02}", 1, 2] for number in range(2, MOST_APART + 1)]
    told = talk.subscribe(job_id=job_id, have=have)
    assert kinds(told) == ["subscribed", *["lines"] * 2, *["end"] * 2, "caught_up"]


@pytest.mark.parametrize("count", [2, 40])
def test_what_is_there_of_many_attempts_is_read_at_once(count):
    talk, job_id = a_talk(count)
    logs, calls = talk.engine.logs, []

    class Counting:
        def __getattr__(self, name):
            calls.append(name)
            return getattr(logs, name)

    talk.engine = replace(talk.engine, logs=Counting())
    talk.subscribe(job_id=job_id)
    assert calls == ["heads", "chunks_of"]
