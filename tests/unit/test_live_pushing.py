"""What those who watch are told of new lines and of changes, and what it costs."""

import gzip
import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.live import MAX_MESSAGE_BYTES, WATCHED_FOR, Topic
from chalicelib.domain.logs import LogLine
from chalicelib.domain.permissions import Access, Acl, AclRule
from chalicelib.domain.workflow import Retry
from chalicelib.engine.job_logs import append_lines
from chalicelib.engine.live import pushing
from chalicelib.engine.live.changes import JobChanged
from chalicelib.store.memory_access import MemoryAccess
from tests.api.callers import a_user
from tests.fakes.house import WORKSPACE, a_definition, a_task
from tests.fakes.streams import Streams
from tests.unit.test_live_connecting import MAKER, Place


class Counted:
    """A port whose calls are kept by name."""

    def __init__(self, inner, calls):
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name):
        found = getattr(self._inner, name)

        def call(*given, **named):
            self._calls.append(name)
            return found(*given, **named)

        return call


class Stage(Place):
    """A place whose streams tell of what changes; `watch` opens a connection of its own."""

    def __init__(self, *specs, **given):
        super().__init__(*specs, **given)
        self.streams = Streams(self.engine)
        self.pauses = []

    def watch(self, connection_id, caller=MAKER, **topic):
        self.connect(connection_id, ticket=self.ticket(caller))
        self.join(connection_id, **topic)

    def join(self, connection_id, **topic):
        wanted = Topic(**topic)
        self.engine.connections.subscribe(connection_id, wanted)
        if wanted.job_id:
            self.engine.jobs.watch(wanted.job_id, self.clock.now() + WATCHED_FOR)

    def write(self, assignment, first, *texts, attempt=1, live=True):
        step = assignment.hold.ref.step
        lines = [LogLine(self.clock.now(), "stdout", step, text) for text in texts]
        append_lines(self.engine, assignment.hold.ref, attempt, first, lines, live=live)

    def tell(self, *changes):
        return pushing.on_changes(self.engine, changes, self.pauses.append)

    def tell_lines(self, job_id):
        return self.tell(*self.streams.lines(job_id))

    def tell_job(self, job_id):
        return self.tell(*self.streams.job(job_id))

    def counting(self):
        """Keep from now on which methods of tables and of the object store are called."""
        calls = []
        ports = ("jobs", "logs", "blobs", "connections", "registry", "pushes")
        made = {name: Counted(getattr(self.engine, name), calls) for name in ports}
        self.engine = replace(self.engine, **made)
        return calls


@pytest.fixture
def stage():
    return Stage()


def lines_in(told):
    return [line["line"] for one in told if one["type"] == "lines" for line in one["lines"]]


def kinds(told):
    return [one["type"] for one in told]


def an_acl(*tasks, access=Access.VIEW):
    rule = AclRule(users=("*",), workspace=WORKSPACE, tasks=tasks, action=access)
    return Acl(default=Access.DENY, rules=(rule,))


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
    assert (chunk["expires_in"], chunk["spans"]) == (300, [["a", 1, 2, 3]])
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


def test_a_change_that_nobody_sees_costs_nothing(stage):
    job_id = stage.house.job()
    stage.streams.job(job_id)
    job = stage.engine.jobs.get(job_id)
    calls = stage.counting()
    stage.tell(JobChanged(job, replace(job, due=stage.clock.now(), looks=3)))
    assert calls == []
    stage.tell(JobChanged(job, replace(job, paused=True)))
    assert calls == ["watchers"]


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


def test_who_watches_a_workspace_is_told_of_each_job_of_it_and_of_no_other(stage):
    stage.watch("mine", workspace=WORKSPACE)
    stage.watch("theirs", workspace="other")
    job_id = stage.house.job()
    stage.tell_job(job_id)
    [made] = stage.pushes.told("mine")
    assert (made["job"]["job_id"], made["job"]["status"]) == (job_id, "pending")
    assert made["steps"] == []
    job = stage.engine.jobs.get(job_id)
    foreign = replace(job, workspace="other", job_id="0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f")
    stage.tell(JobChanged(None, foreign))
    assert stage.pushes.told("mine") == []
    assert stage.pushes.told("theirs")[0]["job"]["workspace"] == "other"


def test_a_hidden_job_of_a_workspace_is_just_not_told(stage):
    stage.engine = replace(stage.engine, access=MemoryAccess())
    stage.watch("c1", workspace=WORKSPACE)
    stage.engine.access.put_acl(an_acl("other"), None)
    stage.tell_job(stage.house.job())
    assert stage.pushes.told("c1") == []
    assert stage.pushes.closed == []


def test_a_job_is_told_with_its_steps_and_the_end_of_attempts_before_its_own():
    stage = Stage("a", "b<a")
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id)
    stage.tell_job(job_id)
    [snapshot] = stage.pushes.told("c1")
    assert [(one["step_name"], one["status"]) for one in snapshot["steps"]] == [("a", "running")]
    assert snapshot["steps"][0]["attempt"] == 1
    stage.write(work, 1, "one", "two")
    stage.house.end(work, output={"secret": "kept"})
    stage.tell_job(job_id)
    end, after = stage.pushes.told("c1")
    assert end == {"type": "end", "job_id": job_id, "step": "a", "attempt": 1, "end": 2}
    assert [(one["step_name"], one["status"]) for one in after["steps"]] == [
        ("a", "completed"),
        ("b", "ready"),
    ]
    assert "kept" not in json.dumps(after)
    stage.clock.tick(60)
    last = stage.house.take()
    stage.tell_job(job_id)
    stage.house.end(last, error="broken")
    stage.clock.tick(1)
    stage.tell_job(job_id)
    told = stage.pushes.told("c1")
    assert kinds(told)[-2:] == ["end", "job"]
    assert told[-1]["job"]["status"] == "failed"
    assert told[-1]["steps"][-1]["error_message"] == "broken"


def test_the_end_of_an_attempt_is_told_to_who_watches_it_once():
    stage = Stage("a", a={"retry": Retry(delay_s=5, max_attempts=3)})
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id, step="a", attempt=1)
    stage.streams.job(job_id)
    stage.write(work, 1, "one")
    stage.house.end(work, error="no")
    stage.tell_job(job_id)
    assert stage.pushes.told("c1") == [
        {"type": "end", "job_id": job_id, "step": "a", "attempt": 1, "end": 1}
    ]
    assert stage.opened("c1").topics == frozenset()


def test_that_it_is_still_watched_is_told_to_nobody(stage):
    job_id = stage.house.job()
    stage.watch("c1", job_id=job_id)
    stage.tell_job(job_id)
    stage.pushes.told("c1")
    stage.clock.tick(60)
    stage.engine.jobs.watch(job_id, stage.clock.now() + WATCHED_FOR)
    changes, calls = stage.streams.job(job_id), stage.counting()
    assert changes
    stage.tell(*changes)
    assert calls == []


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
