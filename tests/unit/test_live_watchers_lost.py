"""Those who watch are slow, gone or shut out, or watch no more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.live import WATCHED_FOR
from chalicelib.store.memory_access import MemoryAccess
from tests.api.callers import a_user
from tests.unit.live_house import Stage, an_acl, kinds, lines_in


@pytest.fixture
def stage():
    return Stage()


def test_a_job_that_is_watched_no_more_is_left_to_write_slowly(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.engine.jobs.watch(job_id, stage.clock.now() + WATCHED_FOR)
    stage.write(work, 1, "one")
    stage.tell_lines(job_id)
    assert stage.engine.jobs.get(job_id).watched_until  # who polls notes it every minute
    stage.clock.tick(WATCHED_FOR.total_seconds() * 0.6)
    stage.write(work, 2, "two")
    stage.tell_lines(job_id)
    assert stage.engine.jobs.get(job_id).watched_until is None


def test_who_came_in_between_keeps_the_job_watched(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.engine.jobs.watch(job_id, stage.clock.now() + timedelta(hours=2))
    connections, inner = stage.engine.connections, stage.engine.connections.watchers
    asked = []

    class Late:
        def watchers(self, channel):
            found = inner(channel)
            asked.append(channel)
            if len(asked) == 2:
                stage.engine.jobs.watch(job_id, stage.clock.now() + timedelta(hours=3))
            return found

        def __getattr__(self, name):
            return getattr(connections, name)

    stage.engine = replace(stage.engine, connections=Late())
    stage.write(work, 1, "one")
    stage.tell_lines(job_id)
    assert stage.engine.jobs.get(job_id).watched_until == stage.clock.now() + timedelta(hours=3)


def test_a_slow_connection_is_told_once_to_ask_again(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("slow", job_id=job_id)
    stage.watch("quick", job_id=job_id)
    stage.pushes.full.add("slow")
    for number in (1, 2, 3):
        stage.write(work, number, str(number))
        stage.tell_lines(job_id)
    assert lines_in(stage.pushes.told("quick")) == ["1", "2", "3"]
    assert stage.pushes.told("slow") == []
    stage.pushes.full.clear()
    stage.write(work, 4, "4")
    stage.tell_lines(job_id)
    resync, after = stage.pushes.told("slow")
    assert resync == {
        "type": "resync",
        "topic": {"job_id": job_id},
        "heads": [["a", 1, 4, False]],
    }
    assert lines_in([after]) == ["4"]
    stage.write(work, 5, "5")
    stage.tell_lines(job_id)
    assert kinds(stage.pushes.told("slow")) == ["lines"]


def test_a_connection_that_is_gone_is_forgotten_and_the_others_get_theirs(stage):
    job_id, work = stage.house.job(), stage.house.take()
    for name in ("gone", "down", "there"):
        stage.watch(name, job_id=job_id)
    stage.pushes.gone.add("gone")
    stage.pushes.down.add("down")
    stage.write(work, 1, "one")
    figures = stage.tell_lines(job_id)
    assert (figures.sent, figures.gone, figures.unreached) == (1, 1, 1)
    assert lines_in(stage.pushes.told("there")) == ["one"]
    watching = {one.connection_id for one in stage.engine.connections.watchers(f"job/{job_id}")}
    assert watching == {"down", "there"}
    stage.pushes.down.clear()
    stage.write(work, 2, "two")
    stage.tell_lines(job_id)
    assert kinds(stage.pushes.told("down")) == ["resync", "lines"]


def test_who_may_see_the_job_no_more_is_told_so_and_closed(stage):
    guest = a_user("guest", stamp="s")
    stage.gate.callers["guest"] = guest
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", caller=guest, job_id=job_id)
    stage.watch("out", job_id=job_id)
    stage.engine = replace(stage.engine, access=MemoryAccess())
    stage.engine.access.put_acl(an_acl("other"), None)
    del stage.gate.callers["maker"]
    stage.write(work, 1, "one")
    stage.tell_lines(job_id)
    assert [(one["type"], one["code"]) for one in stage.pushes.told("c1")] == [
        ("closing", "rights_lost")
    ]
    assert [one["code"] for one in stage.pushes.told("out")] == ["logged_out"]
    assert sorted(stage.pushes.closed) == ["c1", "out"]
    assert stage.engine.connections.watchers(f"job/{job_id}") == []
