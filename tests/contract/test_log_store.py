"""What every log store keeps: chunks, once each, in order."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.store.logs_table import LogsTable
from chalicelib.store.memory import MemoryLogs
from tests.contract.places import REGION
from tests.fakes.builders import a_blob_ref, a_chunk
from tests.fakes.clock import NOON

EXPIRES = NOON + timedelta(days=30)


@pytest.fixture
def logs(place):
    if place.is_memory:
        return MemoryLogs()
    return LogsTable(place.table("LogsTable"), REGION, place.host)


@pytest.mark.parametrize(
    "chunk",
    [
        a_chunk("job", lines=100),
        a_chunk("job", lines=1),
        a_chunk("job", text="x\n"),
        a_chunk("job", text="Zeile\u2028 ✓ \x00 😀\n" * 40),
        a_chunk("job", text="", ref=a_blob_ref()),
    ],
    ids=["packed", "short", "tiny", "unicode", "reference"],
)
def test_a_chunk_comes_back_as_it_was(logs, chunk):
    logs.append(chunk, EXPIRES)
    assert logs.chunks("job") == [chunk]


def test_a_repeat_changes_nothing(logs):
    chunk = a_chunk("job")
    logs.append(chunk, EXPIRES)
    logs.append(chunk, EXPIRES)
    logs.append(replace(chunk, text="other\n", last=9), EXPIRES)
    assert logs.chunks("job") == [chunk]


def test_chunks_come_by_step_attempt_and_first_line(logs):
    wanted = [
        a_chunk("job", step, attempt=attempt, first=first)
        for step in ("a", "b")
        for attempt in (1, 2, 10)
        for first in (1, 9, 10, 100_000)
    ]
    for chunk in reversed(wanted):
        logs.append(chunk, EXPIRES)
    assert logs.chunks("job") == wanted


@pytest.mark.parametrize("step", ["build", "build-all", "build[0]", "b", "größe"])
def test_a_step_gets_its_own_chunks_only(logs, step):
    chunks = {
        name: a_chunk("job", name) for name in ("build", "build-all", "build[0]", "b", "größe")
    }
    for chunk in chunks.values():
        logs.append(chunk, EXPIRES)
    assert logs.chunks("job", step) == [chunks[step]]


def test_a_job_gets_its_own_chunks_only(logs):
    logs.append(a_chunk("job-1"), EXPIRES)
    logs.append(a_chunk("job-10"), EXPIRES)
    assert [chunk.job_id for chunk in logs.chunks("job-1")] == ["job-1"]


def test_a_job_without_lines_has_no_chunks(logs):
    assert logs.chunks("nope") == []
    assert logs.chunks("nope", "build") == []
