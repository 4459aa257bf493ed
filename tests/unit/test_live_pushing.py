"""What those who watch are told of new lines, and what it costs."""

import gzip
import json
import random
from dataclasses import replace

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.live import MAX_MESSAGE_BYTES
from chalicelib.engine.live.changes import JobChanged
from tests.fakes.house import WORKSPACE, a_definition, a_task
from tests.unit.live_house import Stage, kinds, lines_in


@pytest.fixture
def stage():
    return Stage()


def test_lines_come_to_who_watches_the_job_and_to_who_watches_that_attempt(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("whole", job_id=job_id)
    stage.watch("first", job_id=job_id, step="a", attempt=1)
    stage.watch("second", job_id=job_id, step="a", attempt=2)
    stage.watch("all", workspace=WORKSPACE)
    stage.write(work, 1, "one", "two")
    stage.write(work, 3, "three")
    stage.tell_lines(job_id)
    [merged] = stage.pushes.told("whole")
    assert (merged["first"], merged["last"], merged["attempt"]) == (1, 3, 1)
    assert lines_in([merged]) == ["one", "two", "three"]
    assert lines_in(stage.pushes.told("first")) == ["one", "two", "three"]
    assert stage.pushes.told("second") == stage.pushes.told("all") == []


def test_who_watches_a_job_and_its_attempt_gets_lines_once(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id)
    stage.join("c1", job_id=job_id, step="a", attempt=1)
    stage.write(work, 1, "one")
    stage.tell_lines(job_id)
    assert kinds(stage.pushes.told("c1")) == ["lines"]


def test_no_message_is_larger_than_28_kb_and_lines_are_never_cut(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id)
    texts = [f"{number} {'ø' * 300}" for number in range(100)]
    for start in range(0, 100, 10):
        stage.write(work, start + 1, *texts[start : start + 10])
    stage.tell_lines(job_id)
    sizes = [len(text.encode()) for text in stage.pushes.frames("c1")]
    assert len(sizes) > 1
    assert max(sizes) <= MAX_MESSAGE_BYTES
    assert lines_in(stage.pushes.told("c1")) == texts


def test_a_long_chunk_is_told_by_where_to_fetch_it(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id)
    stage.write(work, 1, "before")
    stage.write(work, 2, "x" * 50_000, "y")
    stage.write(work, 4, "behind")
    stage.tell_lines(job_id)
    before, fetched, behind = stage.pushes.told("c1")
    [chunk] = fetched["chunks"]
    assert (chunk["expires_in"], chunk["spans"]) == (60, [["a", 1, 2, 3]])
    key = chunk["url"].removeprefix("memory:").partition("?")[0]
    text = gzip.decompress(stage.engine.blobs.get(key)).decode()
    assert [json.loads(line)["line"] for line in text.splitlines()] == ["x" * 50_000, "y"]
    assert (before["first"], behind["first"]) == (1, 4)


def test_a_chunk_costs_one_query_and_no_read_of_the_job(stage):
    job_id, work = stage.house.job(), stage.house.take()
    for number in range(5):
        stage.watch(f"c{number}", job_id=job_id)
    stage.write(work, 1, "one")
    stage.tell_lines(job_id)
    stage.write(work, 2, "two")
    stage.write(work, 3, "three")
    changes, calls = stage.streams.lines(job_id), stage.counting()
    assert stage.tell(*changes).sent == 5
    assert calls == ["watchers", "post_each"]


def test_a_batch_that_comes_again_does_no_harm(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id)
    stage.write(work, 1, "one")
    stage.house.end(work)
    batch = [*stage.streams.lines(job_id), *stage.streams.job(job_id)]
    stage.tell(*batch)
    first = stage.pushes.told("c1")
    stage.tell(*batch)
    assert stage.pushes.told("c1") == first


def test_one_job_that_fails_keeps_no_other_from_being_told(stage):
    good, bad = stage.house.job(), stage.house.job()
    works = {one.hold.ref.job_id: one for one in (stage.house.take(), stage.house.take())}
    for number, job_id in enumerate((bad, good)):
        stage.watch(f"c{number}", job_id=job_id)
        stage.write(works[job_id], 1, "one")
    changes = [*stage.streams.lines(bad), *stage.streams.lines(good)]
    connections = stage.engine.connections

    class Down:
        def watchers(self, channel):
            if channel == f"job/{bad}":
                raise UnavailableError("the table did not answer")
            return connections.watchers(channel)

        def __getattr__(self, name):
            return getattr(connections, name)

    stage.engine = replace(stage.engine, connections=Down())
    figures = stage.tell(*changes)
    assert (figures.failed, figures.may_help, figures.sent) == (1, True, 1)
    assert lines_in(stage.pushes.told("c1")) == ["one"]


def test_a_secret_of_the_job_stands_in_no_message():
    definition = a_definition(a_task("a"), secrets={"KEY": "hunter2-of-the-shop"})
    stage = Stage(definition=definition)
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id)
    stage.write(work, 1, "key hunter2-of-the-shop")
    stage.tell_lines(job_id)
    stage.house.end(work, error="it said hunter2-of-the-shop")
    stage.tell_job(job_id)
    assert "hunter2" not in json.dumps(stage.pushes.frames("c1"))
    assert len(stage.pushes.told("c1")) == 3


@pytest.mark.parametrize("seed", range(20))
def test_nothing_crosses_from_one_workspace_to_another(seed):
    draw = random.Random(seed)  # noqa: S311 - reproducible on purpose
    stage = Stage()
    jobs = [stage.house.job() for _ in range(4)]
    works = {one.hold.ref.job_id: one for one in (stage.house.take() for _ in jobs)}
    for number in range(12):
        topic = {"workspace": f"w{number % 3}"} if number % 4 == 0 else None
        stage.watch(f"c{number}", **(topic or {"job_id": draw.choice(jobs)}))
    changes = []
    for job_id in jobs:
        stage.write(works[job_id], 1, f"line of {job_id}")
        job = stage.engine.jobs.get(job_id)
        foreign = replace(job, workspace=f"w{draw.randrange(3)}", job_id=f"of-{job_id}")
        changes += [*stage.streams.lines(job_id), JobChanged(None, foreign)]
    draw.shuffle(changes)
    stage.tell(*changes)
    for number in range(12):
        [topic] = stage.opened(f"c{number}").topics
        for one in stage.pushes.told(f"c{number}"):
            if one["type"] == "job":
                assert one["job"]["workspace"] == topic.workspace
            else:
                assert one["job_id"] == topic.job_id
                assert lines_in([one]) == [f"line of {topic.job_id}"]
