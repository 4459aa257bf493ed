"""What could not be sent is marked where it is watched, and what is not watched is left alone."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.live import CONNECTION_FOR, WATCHED_FOR
from tests.unit.live_house import Stage, Talk, kinds


@pytest.fixture
def talk():
    return Talk()


@pytest.mark.parametrize("by_name", [True, False])
def test_lines_asked_for_and_not_taken_are_marked_where_they_are_watched(talk, by_name):
    job_id, work = talk.house.job(), talk.house.take()
    attempt = {"job_id": job_id, "step": "a", "attempt": 1}
    talk.write(work, 1, "one")
    talk.subscribe(**(attempt if by_name else {"job_id": job_id}))
    talk.pushes.full.add("c1")
    assert talk.say(action="range", id="1", topic=attempt, first=1) == []
    [watcher] = talk.engine.connections.watchers(f"job/{job_id}")
    assert watcher.is_behind


def test_who_does_not_watch_a_job_cannot_let_it_be_unwatched(talk):
    job_id = talk.house.job()
    until = talk.clock.now() + WATCHED_FOR
    talk.engine.jobs.watch(job_id, until)
    assert talk.say(action="unsubscribe", topic={"job_id": job_id}) == []
    assert talk.watched_until(job_id) == until


def test_a_resync_is_told_even_where_heads_cannot_be_read():
    stage = Stage()
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("slow", job_id=job_id)
    stage.watch("quick", job_id=job_id)
    stage.pushes.full.add("slow")
    stage.write(work, 1, "one")
    stage.tell_lines(job_id)
    stage.pushes.full.clear()
    logs = stage.engine.logs

    class Silent:
        def __getattr__(self, name):
            return getattr(logs, name)

        def heads(self, job_id, attempts):
            raise UnavailableError(f"the table of {job_id}, {attempts} did not answer")

    stage.engine = replace(stage.engine, logs=Silent())
    stage.write(work, 2, "two")
    stage.tell_lines(job_id)
    resync, _ = stage.pushes.told("slow")
    assert (resync["type"], resync["heads"]) == ("resync", [])
    assert kinds(stage.pushes.told("quick")) == ["lines", "lines"]


def test_a_connection_whose_time_is_over_is_told_so_before_it_ends(talk):
    talk.clock.tick(CONNECTION_FOR.total_seconds())
    [told] = talk.say(action="ping")
    assert (told["type"], told["code"]) == ("closing", "expired")
    assert talk.pushes.closed == ["c1"]
