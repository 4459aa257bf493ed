"""Frames that are refused, and what one is told when something is broken."""

import json
import logging
from dataclasses import replace

import pytest

from chalicelib.domain.live import MAX_MESSAGE_BYTES
from chalicelib.engine.live import serving
from tests.api.world import Down
from tests.unit.live_house import NO_JOB, Talk, kinds, refusal


@pytest.fixture
def talk():
    return Talk()


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


def test_frames_on_a_connection_of_bare_lines_are_ignored(talk):
    job_id = talk.house.job()
    talk.lines(job_id, "c2")
    assert serving.serve(talk.engine, "c2", '{"action": "ping"}') == "ignored"
    assert talk.pushes.sent == []
