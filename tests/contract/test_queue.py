"""What every queue keeps: at least once, a delay, and a message that stays until it is deleted."""

import json
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Message
from chalicelib.queue.memory import VISIBILITY, MemoryQueue
from chalicelib.queue.sqs import ATTRIBUTES, SqsQueue
from tests.contract.places import template
from tests.fakes.clock import FakeClock

POOL = "script"


@dataclass
class Case:
    """A queue, and how time passes for it."""

    queue: Any
    clock: FakeClock | None = None
    client: Any = None
    prefix: str = ""

    def url(self, pool=POOL):
        return self.client.get_queue_url(QueueName=f"{self.prefix}-{pool}")["QueueUrl"]

    def lapse(self, received):
        """Let the time pass after which a message that was not deleted is given out again."""
        if self.clock is not None:
            self.clock.tick(VISIBILITY.total_seconds())
            return
        self.client.change_message_visibility(
            QueueUrl=self.url(), ReceiptHandle=received.receipt, VisibilityTimeout=0
        )

    def pass_time(self, seconds):
        """Move a clock that a test moves; the others go on by themselves."""
        if self.clock is not None:
            self.clock.tick(seconds)


@pytest.fixture
def case(place):
    if place.is_memory:
        clock = FakeClock()
        return Case(MemoryQueue(clock), clock)
    return on_sqs(place)


def on_sqs(place, report=None):
    client = place.client("sqs")
    prefix = place.queues(POOL, "docker-gpu")
    given = {} if report is None else {"report": report}
    return Case(SqsQueue(prefix, client, **given), client=client, prefix=prefix)


def a_message(number=1):
    return Message(StepRef(f"job-{number}", "größe ✓"), number)


def drained(queue, pool=POOL):
    """Receive and delete until nothing comes any more."""
    found = []
    while batch := queue.receive(pool, 0, 10):
        found.extend(received.message for received in batch)
        for received in batch:
            queue.delete(received)
    return found


def test_a_message_comes_back_as_it_was(case):
    case.queue.send(POOL, [(a_message(), 0)])
    (received,) = case.queue.receive(POOL, 0, 10)
    assert (received.message, received.pool) == (a_message(), POOL)


def test_an_empty_queue_gives_nothing(case):
    assert case.queue.receive(POOL, 0, 10) == []


def test_sending_nothing_sends_nothing(case):
    case.queue.send(POOL, [])
    assert case.queue.receive(POOL, 0, 10) == []


def test_no_more_messages_come_than_were_asked_for(case):
    case.queue.send(POOL, [(a_message(number), 0) for number in range(5)])
    assert len(case.queue.receive(POOL, 0, 2)) <= 2


def test_many_messages_arrive_each_once(case):
    sent = [a_message(number) for number in range(23)]
    case.queue.send(POOL, [(message, 0) for message in sent])
    found = drained(case.queue)
    assert sorted(found, key=lambda message: message.attempt) == sent


def test_pools_do_not_mix(case):
    case.queue.send("docker-gpu", [(a_message(), 0)])
    assert case.queue.receive(POOL, 0, 10) == []
    assert drained(case.queue, "docker-gpu") == [a_message()]


def test_a_message_in_flight_is_given_to_nobody_else(case):
    case.queue.send(POOL, [(a_message(), 0)])
    case.queue.receive(POOL, 0, 10)
    assert case.queue.receive(POOL, 0, 10) == []


def test_a_message_that_was_not_deleted_comes_again(case):
    case.queue.send(POOL, [(a_message(), 0)])
    (first,) = case.queue.receive(POOL, 0, 10)
    case.lapse(first)
    (second,) = case.queue.receive(POOL, 1, 10)
    assert second.message == first.message


def test_a_deleted_message_does_not_come_again(case):
    case.queue.send(POOL, [(a_message(1), 0)])
    (first,) = case.queue.receive(POOL, 0, 10)
    case.queue.delete(first)
    case.pass_time(3600)
    assert case.queue.receive(POOL, 0, 10) == []


def test_deleting_again_is_no_error_and_takes_nothing_else(case):
    case.queue.send(POOL, [(a_message(1), 0)])
    (first,) = case.queue.receive(POOL, 0, 10)
    case.queue.delete(first)
    case.queue.send(POOL, [(a_message(2), 0)])
    case.queue.delete(first)
    assert drained(case.queue) == [a_message(2)]


def test_a_delayed_message_comes_after_its_delay(case):
    before = time.monotonic()
    case.queue.send(POOL, [(a_message(1), 1), (a_message(2), 0)])
    assert drained(case.queue) == [a_message(2)]
    case.pass_time(1)
    (late,) = case.queue.receive(POOL, 10, 10)
    assert late.message == a_message(1)
    assert case.clock is not None or time.monotonic() - before >= 0.9


def test_waiting_ends_when_nothing_comes(case):
    before = time.monotonic()
    assert case.queue.receive(POOL, 0.2, 10) == []
    assert 0.1 < time.monotonic() - before < 15


def test_a_wait_is_woken_by_a_message(emulator):
    case = on_sqs(emulator)
    case.queue.receive(POOL, 0, 1)
    began = threading.Event()
    found = []

    def wait():
        began.set()
        found.extend(case.queue.receive(POOL, 20, 1))

    before = time.monotonic()
    waiting = threading.Thread(target=wait)
    waiting.start()
    began.wait()
    case.queue.send(POOL, [(a_message(), 0)])
    waiting.join(timeout=20)
    assert [received.message for received in found] == [a_message()]
    assert time.monotonic() - before < 15


# SQS alone


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no json",
        "[]",
        "null",
        "{}",
        '{"job_id": 1, "step": "a", "attempt": 1}',
        '{"job_id": "a", "step": "b", "attempt": "1"}',
        '{"job_id": "a", "step": "b", "attempt": true}',
    ],
)
def test_an_unreadable_message_is_dropped_and_reported(remote, body):
    reports = []
    case = on_sqs(remote, reports.append)
    case.client.send_message(QueueUrl=case.url(), MessageBody=body or " ")
    case.queue.send(POOL, [(a_message(), 0)])
    found = []
    while batch := case.queue.receive(POOL, 0, 10):
        found.extend(batch)
    assert [received.message for received in found] == [a_message()]
    (report,) = reports
    assert f"the queue {case.prefix}-script was dropped" in report
    counts = case.client.get_queue_attributes(
        QueueUrl=case.url(), AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_the_message_is_what_the_protocol_says(remote):
    case = on_sqs(remote)
    case.queue.send(POOL, [(Message(StepRef("j", "s"), 2), 0)])
    (raw,) = case.client.receive_message(QueueUrl=case.url())["Messages"]
    assert json.loads(raw["Body"]) == {"job_id": "j", "step": "s", "attempt": 2}


def test_the_queue_of_a_new_pool_is_made_as_the_template_makes_its_own(remote):
    case = on_sqs(remote)
    case.queue.send("script-gpu_high", [(a_message(), 0)])
    assert drained(case.queue, "script-gpu_high") == [a_message()]
    found = case.client.get_queue_attributes(
        QueueUrl=case.url("script-gpu_high"), AttributeNames=["All"]
    )["Attributes"]
    assert found | ATTRIBUTES == found
    case.client.delete_queue(QueueUrl=case.url("script-gpu_high"))


def test_the_queues_of_the_template_have_the_same_attributes():
    own = template()["ScriptQueue"]["Properties"]
    assert {key: json.dumps(own[key]) for key in ATTRIBUTES} == ATTRIBUTES


def test_the_queue_of_a_pool_that_a_worker_asks_first_is_made_too(remote):
    case = on_sqs(remote)
    assert case.queue.receive("script-gpu", 0, 1) == []
    case.client.delete_queue(QueueUrl=case.url("script-gpu"))


def test_a_message_says_which_group_it_is_of_and_keeps_its_delay(remote):
    case = on_sqs(remote)
    case.queue.send(POOL, [(a_message(1), 0), (a_message(2), 0)], "demo")
    case.queue.send(POOL, [(a_message(3), 900)], "demo")
    raw = case.client.receive_message(
        QueueUrl=case.url(), MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    )["Messages"]
    # Others of the group come although some are in flight: it orders nothing.
    raw += case.client.receive_message(
        QueueUrl=case.url(), MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    ).get("Messages", [])
    assert [one["Attributes"]["MessageGroupId"] for one in raw] == ["demo", "demo"]


def test_a_queue_that_may_not_be_made_is_unavailable_and_says_what_to_do():
    with pytest.raises(UnavailableError, match=r"p-nowhere .*AccessDenied.* role's rights"):
        SqsQueue("p", Forbidding()).send("nowhere", [(a_message(), 0)])


class Forbidding:
    """Has no queue, and lets none be made."""

    def get_queue_url(self, **given):
        raise ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "GetQueueUrl")

    def create_queue(self, **given):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "CreateQueue")


class RefusingSqs:
    """Refuses the entries whose body is in `refused`, so many times each."""

    def __init__(self, refused):
        self.refused = refused
        self.sent = []
        self.batches = []
        self.asked = []

    def get_queue_url(self, **given):
        self.asked.append(given["QueueName"])
        return {"QueueUrl": "http://queue"}

    def send_message_batch(self, *, QueueUrl, Entries):  # noqa: N803 - boto3's words
        failed = []
        self.batches.append([json.loads(entry["MessageBody"])["attempt"] for entry in Entries])
        for entry in Entries:
            attempt = json.loads(entry["MessageBody"])["attempt"]
            if self.refused.get(attempt, 0) > 0:
                self.refused[attempt] -= 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                self.sent.append((attempt, entry["DelaySeconds"]))
        return {"Failed": failed} if failed else {"Successful": []}

    def receive_message(self, **given):
        self.asked.append(given)
        return {}


def test_entries_that_were_refused_are_sent_again_and_no_others():
    client = RefusingSqs({3: 2, 12: 1})
    messages = [(a_message(number), number) for number in range(1, 15)]
    SqsQueue("p", client).send(POOL, messages)
    assert sorted(client.sent) == [(number, number) for number in range(1, 15)]
    assert client.batches == [list(range(1, 11)), [3], [3], list(range(11, 15)), [12]]
    assert client.asked == ["p-script"]


def test_entries_that_are_refused_every_time_make_the_queue_unavailable():
    client = RefusingSqs({2: 99})
    with pytest.raises(UnavailableError, match=r"p-script refused 1 messages .*InternalError"):
        SqsQueue("p", client).send(POOL, [(a_message(1), 0), (a_message(2), 0)])


@pytest.mark.parametrize(
    ("wait_s", "asked_s"), [(0, 0), (0.01, 1), (1, 1), (19.2, 20), (60, 20), (-1, 0)]
)
def test_a_wait_is_rounded_up_to_whole_seconds_within_the_bounds_of_sqs(wait_s, asked_s):
    client = RefusingSqs({})
    SqsQueue("p", client).receive(POOL, wait_s, 50)
    assert client.asked[-1]["WaitTimeSeconds"] == asked_s
    assert client.asked[-1]["MaxNumberOfMessages"] == 10


def test_a_retry_of_fifteen_minutes_fits_into_the_delay():
    client = RefusingSqs({})
    SqsQueue("p", client).send(POOL, [(a_message(), int(timedelta(minutes=15).total_seconds()))])
    assert client.sent == [(1, 900)]
