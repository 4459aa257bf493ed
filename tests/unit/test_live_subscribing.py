"""What a client asks for on a connection, and what it is told."""

import gzip
import json
import logging
from dataclasses import replace

import pytest

from chalicelib.domain.audit import AuditResult
from chalicelib.domain.live import MAX_MESSAGE_BYTES, WATCHED_FOR, Topic
from chalicelib.domain.logs import LogLine
from chalicelib.domain.permissions import Access, Acl, AclRule
from chalicelib.domain.workflow import Retry
from chalicelib.engine.advance import advance
from chalicelib.engine.job_logs import append_lines
from chalicelib.engine.live import serving
from chalicelib.store.memory_access import MemoryAccess
from chalicelib.store.memory_audit import MemoryAudit
from tests.api.callers import a_user
from tests.api.world import Down
from tests.unit.test_live_connecting import Place

NO_JOB = "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"


class Talk(Place):
    """A connection `c1` of somebody who may look at everything."""

    def __init__(self, *specs, **given):
        super().__init__(*specs, **given)
        self.connect(ticket=self.ticket())

    def say(self, **body):
        return self.frame(json.dumps(body))

    def frame(self, text):
        """Send a frame; return the answers."""
        serving.serve(self.engine, "c1", text)
        return self.pushes.told("c1")

    def subscribe(self, **topic):
        have = topic.pop("have", [])
        return self.say(action="subscribe", id="1", topic=topic, have=have)

    def write(self, assignment, first, *texts, attempt=1):
        step = assignment.hold.ref.step
        lines = [LogLine(self.clock.now(), "stdout", step, text) for text in texts]
        append_lines(self.engine, assignment.hold.ref, attempt, first, lines)

    def watched_until(self, job_id):
        return self.engine.jobs.get(job_id).watched_until


@pytest.fixture
def talk():
    return Talk()


def kinds(told):
    return [one["type"] for one in told]


def refusal(told):
    [only] = told
    assert only["type"] == "error"
    return only["code"]


def lines_in(told):
    return [line["line"] for one in told if one["type"] == "lines" for line in one["lines"]]


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
        def head(self, *where):
            seen.append((talk.opened().topics, talk.watched_until(job_id)))
            return logs.head(*where)

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
    assert (chunk["spans"], chunk["expires_in"]) == ([["a", 1, 1, 300]], 300)
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


def held_to(talk):
    access = MemoryAccess()
    rule = AclRule(workspace="elsewhere", action=Access.RUN, users=("*",))
    access.put_acl(Acl(default=Access.DENY, rules=(rule,)), None)
    talk.engine = replace(talk.engine, access=access)


def test_what_is_hidden_looks_as_if_it_were_not_there(talk):
    job_id = talk.house.job()
    talk.house.take()
    assert talk.subscribe(job_id=job_id)[0]["heads"] != []
    held_to(talk)
    topic = {"job_id": job_id, "step": "a", "attempt": 1}
    [hidden] = talk.subscribe(job_id=job_id)
    [absent] = talk.subscribe(job_id=NO_JOB)
    assert hidden["message"] == absent["message"].replace(NO_JOB, job_id)
    assert hidden["code"] == absent["code"] == "not_found"
    assert refusal(talk.subscribe(**topic)) == "not_found"
    assert refusal(talk.say(action="range", topic=topic, first=1)) == "not_found"
    [shop], [none] = talk.subscribe(workspace="shop"), talk.subscribe(workspace="none")
    assert shop["message"].replace("shop", "none") == none["message"]
    assert talk.say(action="ping")[0]["heads"] == []


def test_who_may_read_no_jobs_is_told_so(talk):
    job_id = talk.house.job()
    poor = a_user("maker", permissions=(), stamp="s")
    talk.gate.callers["maker"] = poor
    assert refusal(talk.subscribe(job_id=job_id)) == "forbidden"
    assert refusal(talk.subscribe(workspace="shop")) == "forbidden"


def test_whose_log_in_was_taken_back_is_told_and_cut_off(talk):
    job_id = talk.house.job()
    talk.subscribe(job_id=job_id)
    del talk.gate.callers["maker"]
    [told] = talk.say(action="ping")
    assert (told["type"], told["code"]) == ("closing", "rights_lost")
    assert talk.pushes.closed == ["c1"]
    assert talk.watched_until(job_id) is None
    assert talk.say(action="ping") == []


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


JOB = {"job_id": NO_JOB}
BAD = {
    "empty": "",
    "no JSON": "hello",
    "cut": '{"action":',
    "array": "[]",
    "number": "1",
    "null": "null",
    "deep": "[" * 20_000,
    "deep object": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "too long": json.dumps({"action": "ping", "id": "x", "more": "y" * MAX_MESSAGE_BYTES}),
    "no action": "{}",
    "action of another type": '{"action": 1}',
    "huge number": '{"action": "ping", "id": 1' + "0" * 5000 + "}",
    "long id": json.dumps({"action": "ping", "id": "x" * 65}),
    "id of no encoding": '{"action": "ping", "id": "\\ud800"}',
    "id with a line end": json.dumps({"action": "ping", "id": "a\nb"}),
    "no topic": '{"action": "subscribe"}',
    "two topics": json.dumps({"action": "subscribe", "topic": {**JOB, "workspace": "shop"}}),
    "no job id": '{"action": "subscribe", "topic": {"job_id": "../x"}}',
    "half an attempt": json.dumps({"action": "subscribe", "topic": {**JOB, "step": "a"}}),
    "attempt 0": json.dumps({"action": "subscribe", "topic": {**JOB, "step": "a", "attempt": 0}}),
    "attempt yes": json.dumps(
        {"action": "subscribe", "topic": {**JOB, "step": "a", "attempt": True}}
    ),
    "have of no list": json.dumps({"action": "subscribe", "topic": JOB, "have": {}}),
    "have of pairs": json.dumps({"action": "subscribe", "topic": JOB, "have": [["a", 1]]}),
    "have below 0": json.dumps({"action": "subscribe", "topic": JOB, "have": [["a", 1, -1]]}),
    "have too much": json.dumps(
        {"action": "subscribe", "topic": JOB, "have": [["a", 1, 1]] * 1001}
    ),
    "range of a job": json.dumps({"action": "range", "topic": JOB, "first": 1}),
    "range backwards": json.dumps(
        {"action": "range", "topic": {**JOB, "step": "a", "attempt": 1}, "first": 2, "last": 1}
    ),
    "range of nothing": json.dumps(
        {"action": "range", "topic": {**JOB, "step": "a", "attempt": 1}}
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_is_refused_with_one_error_and_the_connection_goes_on(talk, name):
    assert refusal(talk.frame(BAD[name])) == "bad_message"
    assert kinds(talk.say(action="ping")) == ["pong"]


def test_an_unknown_action_is_named(talk):
    [told] = talk.say(action="shout", id="7")
    assert (told["code"], told["id"]) == ("unknown_action", "7")
    assert "'shout'" in told["message"]


def test_a_table_that_does_not_answer_is_told_as_unavailable(talk):
    job_id = talk.house.job()
    talk.engine = replace(talk.engine, jobs=Down())
    assert refusal(talk.subscribe(job_id=job_id)) == "unavailable"


def test_what_nobody_thought_of_is_logged_without_the_message(talk, caplog):
    job_id = talk.house.job()
    talk.engine = replace(talk.engine, jobs=None)
    with caplog.at_level(logging.ERROR, logger="stroem.live"):
        assert refusal(talk.subscribe(job_id=job_id)) == "unavailable"
    assert "message failed" in caplog.text
    assert job_id not in caplog.text


def test_one_whom_we_do_not_know_is_cut_off(talk):
    serving.serve(talk.engine, "stranger", '{"action": "ping"}')
    assert talk.pushes.closed == ["stranger"]


def test_frames_on_a_connection_of_bare_lines_are_ignored(talk):
    job_id = talk.house.job()
    talk.lines(job_id, "c2")
    assert serving.serve(talk.engine, "c2", '{"action": "ping"}') == "ignored"
    assert talk.pushes.sent == []


def test_denials_are_audited(talk):
    talk.engine = replace(talk.engine, audit=MemoryAudit())
    job_id = talk.house.job()
    held_to(talk)
    talk.subscribe(job_id=job_id)
    talk.subscribe(job_id=NO_JOB)
    day = talk.clock.now().date().isoformat()
    kept = [record.entry for _, record in talk.engine.audit.day(day, None, 10)]
    assert [(one.action, one.resource, one.result) for one in kept] == [
        ("subscribe", f"job/{job_id}", AuditResult.DENIED)
    ]
