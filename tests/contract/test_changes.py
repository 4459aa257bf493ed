"""What the tables' streams hold, read as the changes that were made."""

import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.live import Mode, Relay, Topic
from chalicelib.engine.live.changes import ConnectionOpened, JobChanged, LinesAdded
from chalicelib.store.changes import read_changes
from chalicelib.store.connections_table import ConnectionsTable
from chalicelib.store.jobs_table import JobsTable
from chalicelib.store.logs_table import LogsTable
from tests.contract.places import REGION, template
from tests.fakes.builders import a_begin, a_blob_ref, a_chunk, a_job, a_job_end
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.live import a_connection

EXPIRES = NOON + timedelta(days=30)


class Stream:
    """A table whose stream is as the template says; `name` is the table's."""

    def __init__(self, place, resource):
        self.name = place.table(resource)
        self._client = place.client("dynamodbstreams")
        view = template()[resource]["Properties"]["StreamSpecification"]
        place.client("dynamodb").update_table(
            TableName=self.name, StreamSpecification={"StreamEnabled": True, **view}
        )
        table = place.client("dynamodb").describe_table(TableName=self.name)["Table"]
        self._arn = table["LatestStreamArn"]

    def changes(self):
        """Return what the function would read, as Lambda gives it: JSON, bytes in base64."""
        described = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]
        records = []
        for shard in described["Shards"]:
            start = self._client.get_shard_iterator(
                StreamArn=self._arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            found = self._client.get_records(ShardIterator=start["ShardIterator"])
            records += found["Records"]
        return read_changes(json.loads(json.dumps({"Records": records}, default=_as_lambda)))


def _as_lambda(value):
    return b64encode(value).decode() if isinstance(value, bytes) else str(value)


def test_each_change_of_a_job_is_told_with_what_it_was_before(emulator):
    stream = Stream(emulator, "JobsTable")
    jobs = JobsTable(stream.name, REGION, emulator.host)
    made = a_job(pins=(("lib", "r1"),), reruns=frozenset({"a"}))
    jobs.create(made)
    created = jobs.get(made.job_id)
    jobs.watch(made.job_id, NOON + timedelta(minutes=3))
    jobs.pulse(made.job_id, NOON + timedelta(microseconds=5))
    watched = replace(created, watched_until=NOON + timedelta(minutes=3))
    pulsed = replace(watched, pulse=NOON + timedelta(microseconds=5))
    assert stream.changes() == [
        JobChanged(None, created),
        JobChanged(created, watched),
        JobChanged(watched, pulsed),
    ]
    jobs.finish(made.job_id, a_job_end())
    *_, last = stream.changes()
    assert last == JobChanged(pulsed, jobs.get(made.job_id))


def test_the_items_of_steps_tell_nothing(emulator):
    stream = Stream(emulator, "JobsTable")
    jobs = JobsTable(stream.name, REGION, emulator.host)
    job = a_job()
    jobs.create(job)
    jobs.begin_step(a_begin(job.job_id))
    assert len(stream.changes()) == 1


@pytest.mark.parametrize(
    "chunk",
    [
        a_chunk("j1", lines=100),
        a_chunk("j1", text="x\n"),
        a_chunk("j1", text="Zeile\u2028 ✓ \x00 😀\n" * 40),
        a_chunk("j1", "build[0]", attempt=12, text="", ref=a_blob_ref()),
    ],
    ids=["packed", "tiny", "unicode", "reference"],
)
def test_a_live_chunk_is_told_as_it_was_written(emulator, chunk):
    stream = Stream(emulator, "LogsTable")
    logs = LogsTable(stream.name, REGION, emulator.host)
    live = replace(chunk, live=True)
    logs.append(live, EXPIRES)
    logs.append(replace(chunk, first=chunk.last + 1, last=chunk.last + 5), EXPIRES)
    assert stream.changes() == [LinesAdded(live)]


def test_a_connection_of_bare_lines_is_told_and_no_other_item(emulator):
    stream = Stream(emulator, "ConnectionsTable")
    table = ConnectionsTable(stream.name, REGION, FakeClock(), emulator.host)
    table.open(a_connection("m="))
    table.open(a_connection("l=", mode=Mode.LINES, topics=[Topic(job_id="j1")]))
    assert stream.changes() == [ConnectionOpened("l=")]
    for connection_id in ("l=", "m="):
        table.put_relay(Relay(connection_id=connection_id))
        table.close(connection_id)
    assert {*stream.changes()} == {ConnectionOpened("l=")}
