"""What is told outside of a job's end: to whom, what, how often, and what is shown of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chalicelib import wiring
from chalicelib.domain.errors import PermissionDeniedError, UnavailableError
from chalicelib.domain.signatures import HmacRule, verify
from chalicelib.engine.notifications import send_due
from chalicelib.triggers.deliveries import on_minute
from tests.api.world import SECRET, problem_in
from tests.fakes.outside import FakeTopics, FakeWeb

TOLD = f"""
secrets: {{API: {SECRET}}}
actions:
  say: {{type: script, script: "echo hi"}}
notify:
  - on: [failed, completed]
    url: "https://all.example/{{{{ secret.API }}}}"
    secret: "{{{{ secret.API }}}}"
tasks:
  one:
    flow:
      only: {{action: say}}
  own:
    notify:
      - {{on: [failed, completed, cancelled], url: "https://own.example/path?q=1",
          secrets: [new-one, old-one], headers: {{X-Token: "{{{{ secret.API }}}}"}}}}
      - {{on: failed, sns: "arn:aws:sns:eu-north-1:123456789012:stroem-ends"}}
    flow:
      only: {{action: say}}
  quiet:
    notify: []
    flow:
      only: {{action: say}}
  again:
    retry: {{max_attempts: 2, delay: 1s}}
    flow:
      only: {{action: say}}
"""


@pytest.fixture
def told(bare):
    bare.web, bare.topics = FakeWeb(), FakeTopics()
    bare.engine = replace(bare.engine, web=bare.web, topics=bare.topics)
    wiring.use(bare.engine)
    published = bare.publish(text=TOLD)
    assert published.ok, published.findings
    return bare


def ended(world, task, **outcome):
    job_id = world.execute(task)
    world.complete(world.claim(world.worker()), **outcome)
    return job_id


def deliveries(world, job_id):
    answer = world.get(f"/api/jobs/{job_id}/deliveries")
    assert answer.status_code == 200, answer.body
    return answer.json_body["items"]


def test_the_end_of_a_job_is_told_with_a_signature_that_its_receiver_can_check(told):
    job_id = ended(told, "own", output={"a": 1})
    assert told.web.got == []
    assert send_due(told.engine).delivered == 1
    (sent,) = told.web.got
    (event,) = told.web.events
    assert sent.url == "https://own.example/path?q=1"
    assert sent.headers["X-Token"] == SECRET
    for secret in ("new-one", "old-one"):
        now_s = told.clock.now().timestamp()
        signed = verify(HmacRule(), [secret], sent.headers, sent.body, now_s)
        assert signed.delivery_id == event["id"]
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": deliveries(told, job_id)[0]["delivery_id"],
        "source": "/workspaces/shop/tasks/own",
        "type": "io.stroem.job.completed.v1",
        "subject": job_id,
        "time": "2026-11-21T12:00:00.000000Z",
        "datacontenttype": "application/json",
    }
    assert (data["job_id"], data["status"], data["task_name"]) == (job_id, "completed", "own")


def test_a_failure_tells_why_with_secrets_hidden(told):
    ended(told, "one", error=f"it broke at {SECRET}")
    send_due(told.engine)
    data = told.web.events[0]["data"]
    assert "it broke at" in data["error_message"]
    assert SECRET not in json.dumps(told.web.events)
    assert told.web.got[0].url == f"https://all.example/{SECRET}"


def test_a_tasks_list_takes_the_place_of_the_workspaces_also_when_it_is_empty(told):
    ended(told, "quiet", error="no")
    assert send_due(told.engine).had_work is False
    ended(told, "own", error="no")
    assert send_due(told.engine).delivered == 2
    assert [one.url.split("/")[2] for one in told.web.got] == ["own.example"]
    ((topic, event, attributes),) = told.topics.got
    assert topic.endswith(":stroem-ends")
    assert event["type"] == "io.stroem.job.failed.v1"
    assert attributes == {"status": "failed", "workspace": "shop", "task": "own"}


def test_of_tries_of_a_whole_task_only_the_last_is_told(told):
    ended(told, "again", error="first")
    assert send_due(told.engine).had_work is False


def test_a_cancelled_job_is_told_of_where_it_is_asked_for(told):
    for task in ("one", "own"):
        told.post(f"/api/jobs/{told.execute(task)}/cancel")
    send_due(told.engine)
    assert [one["type"] for one in told.web.events] == ["io.stroem.job.cancelled.v1"]


def test_who_is_down_is_tried_again_later_and_later_under_the_same_id(told):
    down = UnavailableError("https://own.example did not answer (ConnectionRefusedError)")
    told.web.answers = [down, 500, 302]
    job_id = ended(told, "own")
    waits = []
    for _ in range(4):
        assert send_due(told.engine).had_work
        assert send_due(told.engine).had_work is False
        (shown,) = deliveries(told, job_id)
        if shown["next_try_at"]:
            before = told.clock.now()
            told.clock.move_to(told.engine.deliveries.get(job_id, shown["delivery_id"]).due)
            waits.append((told.clock.now() - before).total_seconds())
    assert [5 <= waits[0] < 6, 60 <= waits[1] < 72, 300 <= waits[2] < 360] == [True] * 3
    assert shown["state"] == "delivered"
    assert len({one.headers["webhook-id"] for one in told.web.got}) == 1
    assert len({one.body for one in told.web.got}) == 1
    assert len({one.headers["webhook-timestamp"] for one in told.web.got}) == 4
    assert [(one.get("status"), "error" in one) for one in shown["tries"]] == [
        (None, True), (500, False), (302, False), (200, False),
    ]  # fmt: skip


def test_it_is_given_up_after_nine_tries_and_can_be_sent_once_more(told):
    told.web.answers = [503] * 9
    job_id = ended(told, "own")
    for _ in range(20):
        send_due(told.engine)
        told.clock.tick(hours=13)
    (shown,) = deliveries(told, job_id)
    assert (shown["state"], len(shown["tries"]), shown["next_try_at"]) == ("failed", 9, None)
    path = f"/api/jobs/{job_id}/deliveries/{shown['delivery_id']}/redeliver"
    assert told.post(path).json_body["state"] == "pending"
    send_due(told.engine)
    (shown,) = deliveries(told, job_id)
    assert (shown["state"], len(shown["tries"])) == ("delivered", 10)


@pytest.mark.parametrize(
    "answer", [410, PermissionDeniedError("the address 10.0.0.1 is not called")]
)
def test_what_can_never_arrive_is_not_tried_again(told, answer):
    told.web.answers = [answer]
    job_id = ended(told, "own")
    send_due(told.engine)
    assert deliveries(told, job_id)[0]["state"] == "failed"


def test_a_place_that_is_silent_keeps_nobody_else_waiting(told):
    down = UnavailableError("nobody answers")
    jobs = [ended(told, "own") for _ in range(5)]
    told.web.answers = [down, down, down]
    done = send_due(told.engine)
    assert (done.failed, done.postponed, len(told.web.got)) == (3, 2, 3)
    rounds = sorted(told.engine.deliveries.of_job(job_id)[0].round for job_id in jobs)
    assert rounds == [0, 0, 1, 1, 1]


def test_two_passes_at_once_send_once(told):
    ended(told, "own")

    class Greedy(FakeWeb):
        def post(self, outgoing):
            super().post(outgoing)
            assert send_due(told.engine).had_work is False
            return 200

    told.engine = replace(told.engine, web=Greedy())
    assert send_due(told.engine).delivered == 1


def test_a_pass_that_died_while_sending_is_repeated(told):
    job_id = ended(told, "own")

    class Crash(FakeWeb):
        def post(self, outgoing):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_due(replace(told.engine, web=Crash()))
    assert send_due(told.engine).had_work is False
    told.clock.tick(seconds=91)
    assert send_due(told.engine).delivered == 1
    assert deliveries(told, job_id)[0]["state"] == "delivered"


def test_a_secret_that_cannot_be_read_now_is_tried_again_and_named_by_its_reference(told):
    told.publish(text=TOLD.replace(f"API: {SECRET}", "API: ref+awsssm://gone"))
    job_id = ended(told, "own")
    send_due(told.engine)
    (shown,) = deliveries(told, job_id)
    assert (shown["state"], len(told.web.got)) == ("pending", 0)
    assert "ref+awsssm://gone" in shown["tries"][0]["error"]


def test_nothing_secret_is_shown_or_stored(told):
    told.web.answers = [UnavailableError(f"https://all.example/{SECRET} did not answer")]
    job_id = ended(told, "one")
    send_due(told.engine)
    (shown,) = deliveries(told, job_id)
    assert shown["to"] == "https://all.example/{{ secret.API }}"
    assert SECRET not in json.dumps(shown)
    assert SECRET not in str(told.engine.deliveries.of_job(job_id))
    (shown,) = deliveries(told, ended(told, "own"))
    assert shown["to"] == "https://own.example"


def test_an_unknown_delivery_is_not_found(told):
    job_id = ended(told, "own")
    unknown = "01978a1e-0000-7000-8000-000000000000"
    problem_in(told.post(f"/api/jobs/{job_id}/deliveries/{unknown}/redeliver"), 404, "not-found")
    problem_in(told.get(f"/api/jobs/{unknown}/deliveries"), 404, "not-found")


def test_an_idle_minute_looks_once_and_a_busy_one_twice(told):
    waits = []
    assert len(on_minute(told.engine, waits.append)) == 1
    assert waits == []
    told.web.answers = [500]
    ended(told, "own")
    first, second = on_minute(told.engine, told.clock.tick)
    assert (first.failed, second.delivered) == (1, 1)
