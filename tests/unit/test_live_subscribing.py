"""What a client asks for on a connection, and what it is told."""

import gzip
import json
from dataclasses import replace

import pytest

from chalicelib.domain.live import WATCHED_FOR, Topic
from chalicelib.domain.workflow import Retry
from chalicelib.engine.advance import advance
from tests.unit.live_house import Talk, kinds, lines_in, refusal


@pytest.fixture
def talk():
    return Talk()


def fetched(talk, told):
    """Return the lines that chunks lead to, by their numbers."""
    found = {}
    for one in told:
        for chunk in one.get("chunks", ()):
            key = chunk["url"].removeprefix("memory:").partition("?")[0]
            lines = gzip.decompress(talk.engine.blobs.get(key)).decode().splitlines()
            for _, _, first, last in chunk["spans"]:
                for number in range(first, last + 1):
                    found[number] = json.loads(lines.pop(0))["line"]
            assert lines == []
    return found


def test_who_subscribes_is_told_what_is_there_and_then_that_it_is_all(talk):
    job_id = talk.house.job()
    assignment = talk.house.take()
    talk.write(assignment, 1, "one", "two")
    told = talk.subscribe(job_id=job_id)
    assert kinds(told) == ["subscribed", "lines", "caught_up"]
    assert told[0] == {
        "type": "subscribed",
        "id": "1",
        "topic": {"job_id": job_id},
        "heads": [["a", 1, 2, False]],
        "more": False,
    }
    assert (told[1]["first"], told[1]["last"]) == (1, 2)
    assert lines_in(told) == ["one", "two"]
    assert told[2] == {"type": "caught_up", "id": "1", "topic": {"job_id": job_id}}
    assert talk.watched_until(job_id) == talk.clock.now() + WATCHED_FOR


def test_the_subscription_stands_before_what_is_there_is_read(talk):
    job_id = talk.house.job()
    logs, seen = talk.engine.logs, []

    class Watching:
        def heads(self, *where):
            seen.append((talk.opened().topics, talk.watched_until(job_id)))
            return logs.heads(*where)

        def __getattr__(self, name):
            return getattr(logs, name)

    talk.engine = replace(talk.engine, logs=Watching())
    talk.house.take()
    talk.subscribe(job_id=job_id)
    assert seen == [({Topic(job_id=job_id)}, talk.clock.now() + WATCHED_FOR)]


def test_only_what_the_client_lacks_is_sent(talk):
    job_id = talk.house.job()
    assignment = talk.house.take()
    talk.write(assignment, 1, "one", "two")
    talk.write(assignment, 3, "three", "four")
    told = talk.subscribe(job_id=job_id, have=[["a", 1, 3]])
    assert lines_in(told) == ["four"]
    assert [one["first"] for one in told if one["type"] == "lines"] == [4]
    assert kinds(talk.subscribe(job_id=job_id, have=[["a", 1, 4]])) == ["subscribed", "caught_up"]


def test_each_attempt_has_lines_of_its_own_and_the_end_of_one_is_told():
    talk = Talk("a", a={"retry": Retry(delay_s=5)})
    job_id, first = talk.house.job(), talk.house.take()
    talk.write(first, 1, "one", "two")
    talk.house.end(first, error="no")
    talk.clock.tick(10)
    second = talk.house.take()
    talk.write(second, 1, "again", attempt=2)
    told = talk.subscribe(job_id=job_id)
    assert told[0]["heads"] == [["a", 2, 1, False], ["a", 1, 2, True]]
    assert lines_in(told) == ["one", "two", "again"]
    assert [one for one in told if one["type"] == "end"] == [
        {"type": "end", "job_id": job_id, "step": "a", "attempt": 1, "end": 2}
    ]
    alone = talk.subscribe(job_id=job_id, step="a", attempt=1)
    assert alone[0]["heads"] == [["a", 1, 2, True]]
    assert lines_in(alone) == ["one", "two"]
    assert talk.subscribe(job_id=job_id, step="a", attempt=3)[0]["heads"] == []


def test_a_long_log_is_told_as_chunks_that_all_who_ask_share(talk):
    job_id = talk.house.job()
    assignment = talk.house.take()
    for first in range(1, 301, 10):
        talk.write(assignment, first, *(f"{n} {'x' * 300}" for n in range(first, first + 10)))
    told = talk.subscribe(job_id=job_id)
    assert kinds(told) == ["subscribed", "chunks", "caught_up"]
    [chunk] = told[1]["chunks"]
    assert (chunk["spans"], chunk["expires_in"]) == ([["a", 1, 1, 300]], 60)
    lines = fetched(talk, told)
    assert sorted(lines) == [*range(1, 301)]
    assert all(line.startswith(f"{number} ") for number, line in lines.items())
    before = dict(talk.engine.blobs._objects)
    assert talk.subscribe(job_id=job_id)[1] == told[1]
    assert talk.engine.blobs._objects == before


def test_what_lies_in_objects_already_is_fetched_from_there(talk):
    job_id = talk.house.job()
    assignment = talk.house.take()
    talk.write(assignment, 1, "small")
    talk.write(assignment, 2, "x" * 200_000, "y")
    talk.write(assignment, 4, "small again")
    told = talk.subscribe(job_id=job_id)
    spans = [chunk["spans"] for one in told for chunk in one.get("chunks", ())]
    assert spans == [[["a", 1, 1, 1]], [["a", 1, 2, 3]], [["a", 1, 4, 4]]]
    lines = fetched(talk, told)
    assert [lines[1], len(lines[2]), lines[3], lines[4]] == ["small", 200_000, "y", "small again"]


def test_a_log_of_many_megabytes_is_packed_in_parts(talk):
    job_id = talk.house.job()
    assignment = talk.house.take()
    for first in range(1, 2401, 8):
        talk.write(assignment, first, *(f"{n} {'x' * 900}" for n in range(first, first + 8)))
    told = talk.subscribe(job_id=job_id)
    chunks = [chunk for one in told for chunk in one.get("chunks", ())]
    assert len(chunks) == 3
    assert sorted(fetched(talk, told)) == [*range(1, 2401)]


def test_of_a_loop_the_instances_at_work_are_told_first():
    talk = Talk("a", a={"for_each": list(range(5)), "input": {"x": "{{ each.item }}"}})
    job_id = talk.house.job()
    taken = []
    for _ in range(3):
        taken.append(talk.house.take())
        talk.clock.tick(1)
    talk.write(taken[0], 1, "first")
    talk.house.end(taken[0])
    told = talk.subscribe(job_id=job_id)
    names = [one.hold.ref.step for one in taken]
    assert told[0]["heads"] == [
        [names[2], 1, 0, False],
        [names[1], 1, 0, False],
        [names[0], 1, 1, True],
    ]
    assert lines_in(told) == ["first"]
    assert talk.subscribe(job_id=job_id, step=names[0], attempt=1)[0]["heads"] == [
        [names[0], 1, 1, True]
    ]


def test_of_very_many_attempts_two_hundred_are_told():
    talk = Talk("a", a={"for_each": list(range(250)), "input": {"x": "{{ each.item }}"}})
    job_id = talk.house.job()
    while (assignment := talk.house.take()) is not None:
        talk.house.end(assignment)
        if len(talk.engine.jobs.load_instances(job_id, "a", 0, 249)) == 250:
            break
    told = talk.subscribe(job_id=job_id)
    assert told[0]["more"] is True
    assert 100 < len(told[0]["heads"]) <= 200


def test_lines_are_sent_again_on_request(talk):
    job_id = talk.house.job()
    assignment = talk.house.take()
    talk.write(assignment, 1, "one", "two", "three")
    topic = {"job_id": job_id, "step": "a", "attempt": 1}
    asked = {"action": "range", "id": "9", "topic": topic}
    assert refusal(talk.say(**asked, first=2)) == "not_found"
    talk.subscribe(job_id=job_id)
    assert lines_in(talk.say(**asked, first=2)) == ["two", "three"]
    told = talk.say(**asked, first=2, last=2)
    assert lines_in(told) == ["two"]
    assert told[-1] == {"type": "caught_up", "id": "9", "topic": topic}
    assert kinds(talk.say(**asked, first=4)) == ["caught_up"]


def test_a_log_that_only_the_archive_has_is_read_there(talk):
    job_id = talk.house.job()
    talk.house.end(talk.house.take())
    while talk.engine.jobs.get(job_id).after:
        advance(talk.engine, job_id)
    assert kinds(talk.subscribe(job_id=job_id))[0] == "subscribed"
    assert talk.watched_until(job_id) is None
    talk.say(action="unsubscribe", topic={"job_id": job_id})
    talk.clock.tick(days=30)
    talk.engine.connections.open(
        replace(talk.engine.connections._open["c1"], expires_at=talk.clock.now() + WATCHED_FOR)
    )
    [told] = talk.subscribe(job_id=job_id)
    assert told["code"] == "not_found"
    assert f"GET /api/jobs/{job_id}/logs" in told["message"]
    assert talk.opened().topics == set()


def test_a_ping_says_how_far_all_is_and_renews_the_watch_late(talk):
    job_id = talk.house.job()
    assignment = talk.house.take()
    talk.subscribe(job_id=job_id)
    first = talk.watched_until(job_id)
    talk.write(assignment, 1, "one")
    talk.clock.tick(30)
    [pong] = talk.say(action="ping", id="p")
    assert pong == {"type": "pong", "id": "p", "heads": [[job_id, "a", 1, 1, False]]}
    assert talk.watched_until(job_id) == first
    talk.clock.tick(31)
    talk.say(action="ping", id="p")
    assert talk.watched_until(job_id) == talk.clock.now() + WATCHED_FOR
    talk.house.end(assignment)
    assert talk.say(action="ping", id="p")[0]["heads"] == []
    talk.subscribe(job_id=job_id, step="a", attempt=1)
    assert talk.say(action="ping", id="p")[0]["heads"] == [[job_id, "a", 1, 1, True]]


def test_who_unsubscribes_watches_no_more(talk):
    job_id = talk.house.job()
    talk.subscribe(job_id=job_id)
    assert talk.say(action="unsubscribe", id="1", topic={"job_id": job_id}) == []
    assert talk.opened().topics == set()
    assert talk.watched_until(job_id) is None
    assert talk.say(action="ping")[0]["heads"] == []


def test_jobs_of_a_workspace_are_watched_without_a_look_back(talk):
    told = talk.subscribe(workspace="shop")
    assert kinds(told) == ["subscribed", "caught_up"]
    assert talk.opened().topics == {Topic(workspace="shop")}
    assert refusal(talk.subscribe(workspace="none")) == "not_found"


def test_a_connection_watches_twenty_topics(talk):
    job_id = talk.house.job()
    for attempt in range(1, 21):
        assert kinds(talk.subscribe(job_id=job_id, step="a", attempt=attempt))[0] == "subscribed"
    assert refusal(talk.subscribe(job_id=job_id, step="a", attempt=21)) == "too_many"
    assert kinds(talk.subscribe(job_id=job_id, step="a", attempt=1))[0] == "subscribed"


def test_one_that_is_gone_is_forgotten_and_one_that_is_full_is_marked(talk):
    job_id = talk.house.job()
    talk.pushes.full.add("c1")
    assert talk.subscribe(job_id=job_id) == []
    [watcher] = talk.engine.connections.watchers(f"job/{job_id}")
    assert watcher.is_behind
    talk.pushes.full.clear()
    talk.pushes.gone.add("c1")
    assert talk.subscribe(job_id=job_id) == []
    assert talk.engine.connections.watchers(f"job/{job_id}") == []
