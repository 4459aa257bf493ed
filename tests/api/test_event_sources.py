"""Event sources: consumers that the tick keeps running, and what their workers emit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.engine.advance import cancel
from chalicelib.engine.event_sources import tend
from chalicelib.engine.moves import JobFilter
from chalicelib.engine.payloads import load_object
from tests.api.world import problem_in

FEED = """
secrets: { QUEUE: sqs-of-the-feed, TOKEN: token-of-the-feed }
actions:
  consume: { type: script, script: ./consume, env: { MODE: plain, QUEUE: x } }
  say: { type: script, script: echo }
tasks:
  eat: { flow: { read: { action: consume } } }
  ship:
    input:
      version: { type: string, required: true }
      env: { type: string }
      token: { type: string }
    flow: { only: { action: say } }
  other: { flow: { only: { action: say } } }
triggers:
  queue:
    type: event_source
    task: eat
    target_task: ship
    env: { QUEUE: "{{ secret.QUEUE }}" }
    input: { env: dev, token: "{{ secret.TOKEN }}", version: none }
    %s
"""


def publish(world, more=""):
    assert world.publish("feed", FEED % more).ok


@pytest.fixture
def feed(bare):
    publish(bare, "max_in_flight: 2")
    return bare


class Consumer:
    def __init__(self, world):
        self.world = world
        self.worker_id = world.worker()
        tend(world.engine)
        self.claimed = world.claim(self.worker_id)
        assert self.claimed["task_name"] == "eat"
        self.number = 0

    @property
    def hold(self):
        names = ("job_id", "step_name", "attempt", "lease")
        return {name: self.claimed[name] for name in names}

    def emit(self, event, number=None, **given):
        self.number = number or self.number + 1
        body = {"workspace": "feed", "task": "ship", "source_id": "feed/queue", "input": event}
        body |= {"hold": self.hold, "number": self.number} | given
        left = {name: value for name, value in body.items() if value is not None}
        return self.world.post("/worker/event-source/emit", left)


def consumers(world):
    wanted = JobFilter(workspaces=("feed",))
    return [job for job in world.engine.jobs.page(wanted, None, 100) if job.task == "eat"]


def running(world):
    return [job.job_id for job in consumers(world) if not job.status.is_terminal]


def test_the_tick_makes_one_consumer_and_tells_its_worker_what_it_emits_for(feed):
    assert (tend(feed.engine).made, tend(feed.engine).made) == (1, 0)
    claimed = feed.claim(feed.worker())
    assert claimed["event_source_config"] == {
        "workspace": "feed",
        "source_id": "feed/queue",
        "target_task": "ship",
    }
    assert claimed["action_spec"]["env"] == {"MODE": "plain", "QUEUE": "sqs-of-the-feed"}
    assert "sqs-of-the-feed" in claimed["secrets"]
    assert consumers(feed)[0].source_type is SourceType.TRIGGER
    other = feed.execute("other", ws="feed")
    claimed = feed.claim(feed.worker())
    assert claimed["job_id"] == other
    assert "event_source_config" not in claimed


def test_an_event_starts_a_job_over_the_triggers_input(feed):
    consumer = Consumer(feed)
    job_id = consumer.emit({"version": "{{ secret.QUEUE }}", "env": "prod"}).json_body["job_id"]
    job = feed.engine.jobs.get(job_id)
    assert (job.task, job.source_type, job.source_id) == (
        "ship",
        SourceType.EVENT_SOURCE,
        "feed/queue",
    )
    shown = load_object(feed.engine.blobs, job.input)
    assert shown == {"version": "{{ secret.QUEUE }}", "env": "prod", "token": SECRET_MASK}


def test_a_repeated_event_starts_no_other_job(feed):
    consumer = Consumer(feed)
    first = consumer.emit({"version": "1"}, number=1).json_body["job_id"]
    again = consumer.emit({"version": "1"}, number=1).json_body["job_id"]
    second = consumer.emit({"version": "1"}, number=2).json_body["job_id"]
    assert first == again != second
    # A repeat is answered even while no other event is let in.
    assert consumer.emit({"version": "1"}, number=2).status_code == 200


def test_as_many_jobs_as_may_be_are_in_flight_and_the_next_event_waits(feed):
    consumer = Consumer(feed)
    for _ in range(2):
        assert consumer.emit({"version": "1"}).status_code == 200
    refused = consumer.emit({"version": "1"}, number=3)
    problem_in(refused, 429, "rate-limited")
    assert refused.headers["Retry-After"] == "1"
    claimed = feed.claim(consumer.worker_id)
    assert feed.complete(claimed, output={}).status_code == 200
    assert consumer.emit({"version": "1"}, number=3).status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"workspace": "shop"}, 400),
        ({"source_id": "queue"}, 400),
        ({"task": "other"}, 400),
        ({"input": {"version": ["no text"]}}, 400),
        ({"input": [1]}, 400),
        ({"source_id": "feed/none"}, 404),
        ({"workspace": "none", "source_id": "none/queue"}, 404),
        ({"input": {"version": "x" * 256 * 1024}}, 413),
    ],
)
def test_an_event_that_does_not_fit_starts_nothing(feed, given, status):
    consumer = Consumer(feed)
    assert consumer.emit({}, **given).status_code == status
    assert len(feed.engine.jobs.page(JobFilter(workspaces=("feed",)), None, 100)) == 1


def test_only_the_worker_that_runs_the_consumer_emits(feed):
    consumer = Consumer(feed)
    other = feed.execute("other", ws="feed")
    theirs = feed.claim(feed.worker())
    assert theirs["job_id"] == other
    wrong = [
        consumer.hold | {"lease": "guessed"},
        consumer.hold | {"attempt": 2},
        {name: theirs[name] for name in consumer.hold},
    ]
    for hold in wrong:
        problem_in(consumer.emit({"version": "1"}, hold=hold), 403, "permission-denied")
    assert feed.complete(consumer.claimed, output={}).status_code == 200
    problem_in(consumer.emit({"version": "1"}), 403, "permission-denied")


def test_a_plain_worker_emits_while_the_consumer_runs(feed):
    consumer = Consumer(feed)
    assert consumer.emit({"version": "1"}, hold=None, number=None).status_code == 200
    assert feed.complete(consumer.claimed, output={}).status_code == 200
    answer = consumer.emit({"version": "1"}, hold=None, number=None)
    problem_in(answer, 403, "permission-denied")


# kept running


@pytest.mark.parametrize(
    ("policy", "error", "again"),
    [
        ("always", None, True),
        ("always", "boom", True),
        ("on_failure", None, False),
        ("on_failure", "boom", True),
        ("never", "boom", False),
    ],
)
def test_a_consumer_that_ended_starts_again_as_its_policy_says(bare, policy, error, again):
    publish(bare, f"restart_policy: {policy}\n    backoff_secs: 30")
    consumer = Consumer(bare)
    assert bare.complete(consumer.claimed, error=error).status_code == 200
    for _ in range(3):
        tend(bare.engine)
    assert len(running(bare)) == again
    if again:
        bare.clock.tick(29)
        assert bare.claim(consumer.worker_id)["job_id"] is None
        bare.clock.tick(2)
        assert bare.claim(consumer.worker_id)["job_id"] == running(bare)[0]


def test_two_ticks_at_once_make_one_consumer(feed):
    made = feed.engine.event_sources.put

    class Meanwhile:
        """Another tick comes right before this one's first write."""

        done = False

        def __getattr__(self, name):
            return getattr(feed.engine.event_sources, name)

        def put(self, record, expected):
            if record.number and not self.done:
                self.done = True
                tend(feed.engine)
            return made(record, expected)

    tend(replace(feed.engine, event_sources=Meanwhile()))
    assert len(running(feed)) == len(consumers(feed)) == 1


def test_a_trigger_that_goes_off_stops_its_consumer_and_nothing_that_was_emitted(feed):
    consumer = Consumer(feed)
    emitted = consumer.emit({"version": "1"}).json_body["job_id"]
    publish(feed, "enabled: false")
    tend(feed.engine)
    assert running(feed) == []
    assert not feed.engine.jobs.get(emitted).status.is_terminal
    problem_in(consumer.emit({"version": "1"}), 404, "not-found")
    publish(feed, "restart_policy: on_failure")
    tend(feed.engine)
    assert len(running(feed)) == 1


def test_a_trigger_that_is_gone_stops_its_consumer(feed):
    consumer = Consumer(feed)
    emitted = consumer.emit({"version": "1"}).json_body["job_id"]
    assert feed.publish("feed", FEED.partition("triggers:")[0]).ok
    tend(feed.engine)
    assert running(feed) == []
    assert not feed.engine.jobs.get(emitted).status.is_terminal
    assert feed.engine.event_sources.look().records == []


def test_a_new_revision_gets_a_consumer_of_its_own_at_once(feed):
    consumer = Consumer(feed)
    publish(feed, "max_in_flight: 3")
    assert (tend(feed.engine).made, len(running(feed))) == (1, 1)
    assert running(feed) != [consumer.claimed["job_id"]]
    # What the old one had printed before it heard of its end is not lost.
    assert consumer.emit({"version": "late"}).status_code == 200


def test_a_consumer_that_somebody_cancelled_starts_again_under_always(feed):
    consumer = Consumer(feed)
    cancel(feed.engine, consumer.claimed["job_id"])
    feed.clock.tick(10)
    tend(feed.engine)
    assert len(running(feed)) == 1
    assert feed.engine.jobs.get(consumer.claimed["job_id"]).status is JobStatus.CANCELLED


def test_one_source_that_cannot_be_tended_keeps_no_other_from_its_turn(feed):
    text = FEED % "" + "  second: { type: event_source, task: need, target_task: ship }\n"
    need = "need: { input: { x: { required: true } }, flow: { r: { action: say } } }"
    text = text.replace("tasks:\n", f"tasks:\n  {need}\n")
    assert feed.publish("feed", text).ok
    tended = tend(feed.engine)
    assert (tended.made, tended.failed) == (1, 1)
