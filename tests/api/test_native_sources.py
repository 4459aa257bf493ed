"""Queues and buckets of the account: what Lambda brings of them becomes jobs, each once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.lifecycle import SourceType
from chalicelib.engine.moves import JobFilter
from chalicelib.engine.payloads import load_object
from chalicelib.triggers.sources import on_source

ARN = "arn:aws:sqs:eu-north-1:123456789012:orders"
FLOW = """
actions: { say: { type: script, script: echo } }
tasks:
  ship:
    input: { version: { type: string }, env: { type: string } }
    flow: { only: { action: say } }
  load:
    input: { key: { type: string, required: true } }
    flow: { only: { action: say } }
triggers:
  orders:
    type: sqs
    queue: "arn:aws:sqs:eu-north-1:123456789012:orders"
    task: ship
    input: { env: dev }
  drops: { type: s3, bucket: drops, prefix: in/, suffix: .csv, task: load }
  gone: { type: s3, bucket: drops, events: ["ObjectRemoved:*"], task: load }
  off: { type: s3, bucket: drops, task: load, enabled: false }
"""


@pytest.fixture
def native(bare):
    assert bare.publish("native", FLOW).ok
    return bare


def message(body, message_id="m-1", arn=ARN):
    body = body if isinstance(body, str) else json.dumps(body)
    return {"eventSource": "aws:sqs", "messageId": message_id, "body": body, "eventSourceARN": arn}


def an_object(key="in/a+b%C3%B8.csv", event="ObjectCreated:Put", **about):
    about = {"key": key, "size": 3, "eTag": "e", "sequencer": "01", **about}
    s3 = {"bucket": {"name": "drops"}, "object": about}
    return {"eventSource": "aws:s3", "eventName": event, "s3": s3}


def tell(world, *records):
    told = on_source(world.engine, {"Records": list(records)})
    return [one["itemIdentifier"] for one in told["batchItemFailures"]]


def jobs(world):
    found = world.engine.jobs.page(JobFilter(workspaces=("native",)), None, 100)
    return [world.engine.jobs.get(job.job_id) for job in found]


def inputs(world):
    return [load_object(world.engine.blobs, job.input) for job in jobs(world)]


def test_a_message_starts_one_job_however_often_it_comes(native):
    for _ in range(3):
        assert tell(native, message({"version": "1", "env": "prod"})) == []
    assert inputs(native) == [{"version": "1", "env": "prod"}]
    job = jobs(native)[0]
    assert (job.task, job.source_type, job.source_id) == (
        "ship",
        SourceType.EVENT_SOURCE,
        "native/orders",
    )
    assert tell(native, message({"version": "1"}, "m-2")) == []
    assert len(jobs(native)) == 2


@pytest.mark.parametrize("body", ["plain", "[1]", "", "{broken", "1"])
def test_a_message_that_is_no_object_comes_as_its_body(native, body):
    assert tell(native, message(body)) == []
    assert inputs(native) == [{"env": "dev", "body": body}]


def test_a_message_that_starts_nothing_stays_in_its_queue(native):
    failed = tell(
        native,
        message({"version": ["no text"]}, "m-1"),
        message({"version": "1"}, "m-2"),
        message({}, "m-3", arn=ARN + "-of-nobody"),
    )
    assert failed == ["m-1", "m-3"]
    assert len(jobs(native)) == 1


def test_an_object_starts_the_jobs_of_the_triggers_that_it_concerns(native):
    assert tell(native, an_object(), an_object()) == []
    assert inputs(native) == [
        {
            "bucket": "drops",
            "key": "in/a bø.csv",
            "event": "ObjectCreated:Put",
            "version": None,
            "etag": "e",
            "size": 3,
        }
    ]
    tell(native, an_object(sequencer="02"))
    tell(native, an_object(versionId="v1"), an_object(versionId="v1"))
    assert len(jobs(native)) == 3
    tell(native, an_object("out/a.csv"), an_object("in/a.txt"))
    assert len(jobs(native)) == 3
    tell(native, an_object("out/a.csv", "ObjectRemoved:Delete"))
    assert {job.source_id for job in jobs(native)} == {"native/drops", "native/gone"}


def test_an_object_whose_job_could_not_be_made_is_told_again(native):
    class Down:
        def __getattr__(self, name):
            raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        on_source(replace(native.engine, jobs=Down()), {"Records": [an_object()]})
    assert tell(native, an_object()) == []
    assert len(jobs(native)) == 1


def test_what_is_switched_off_starts_nothing_and_loses_no_message(native):
    native.engine.registry.pause_task("native", "ship", paused=True)
    assert tell(native, message({})) == ["m-1"]
    native.engine.registry.pause_task("native", "ship", paused=False)
    assert tell(native, message({})) == []


def test_the_test_event_of_s3_is_taken(native):
    told = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "drops"}
    assert on_source(native.engine, told) == {"batchItemFailures": []}


@pytest.mark.parametrize(
    "trigger",
    [
        "{ type: sqs, task: ship }",
        "{ type: sqs, task: ship, queue: orders }",
        "{ type: s3, task: ship }",
        "{ type: sqs, task: none, queue: 'arn:aws:sqs:eu-north-1:123456789012:orders' }",
    ],
)
def test_a_source_that_makes_no_sense_is_refused(bare, trigger):
    assert not bare.publish("native", FLOW + f"  wrong: {trigger}\n").ok
