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


def test_a_chunk_is_live_as_it_was_written(logs):
    live, silent = replace(a_chunk("job"), live=True), a_chunk("job", first=2)
    logs.append(live, EXPIRES)
    logs.append(silent, EXPIRES)
    assert logs.chunks("job") == [live, silent]


def test_only_a_live_chunk_has_the_mark_that_the_stream_is_filtered_by(moto):
    name = moto.table("LogsTable")
    table = LogsTable(name, REGION)
    table.append(replace(a_chunk("job"), live=True), EXPIRES)
    table.append(a_chunk("job", first=2), EXPIRES)
    rows = moto.client("dynamodb").scan(TableName=name)["Items"]
    marks = {row["first"]["N"]: row.get("live") for row in rows}
    assert marks == {"1": {"BOOL": True}, "2": None}


@pytest.fixture
def written(logs):
    """Attempt 2 of `build` in chunks of 10 lines, 1 to 50, among others that are near."""
    for chunk in (
        a_chunk("job", attempt=1, lines=99),
        a_chunk("job", attempt=3, lines=99),
        a_chunk("job", attempt=20, lines=99),
        a_chunk("job", "build-all", attempt=2, lines=99),
        a_chunk("job", "build[0]", attempt=2, lines=99),
        a_chunk("job-1", attempt=2, lines=99),
    ):
        logs.append(chunk, EXPIRES)
    chunks = [a_chunk("job", attempt=2, first=first, lines=10) for first in range(1, 50, 10)]
    for chunk in chunks:
        logs.append(chunk, EXPIRES)
    return chunks


@pytest.mark.parametrize(
    ("after", "at"),
    [(0, 0), (1, 0), (9, 0), (10, 1), (11, 1), (40, 4), (49, 4), (50, 5), (51, 5), (10**9, 5)],
)
def test_chunks_after_a_line_are_those_that_hold_a_later_one(logs, written, after, at):
    assert logs.chunks_after("job", "build", 2, after, 100) == written[at:]


def test_of_many_chunks_the_first_come_up_to_the_limit(logs, written):
    assert logs.chunks_after("job", "build", 2, 0, 2) == written[:2]
    assert logs.chunks_after("job", "build", 2, 15, 2) == written[1:3]
    assert logs.chunks_after("job", "build", 2, 50, 2) == []


def test_chunks_after_a_hole_are_found(logs):
    chunk = a_chunk("job", first=101, lines=10)
    logs.append(chunk, EXPIRES)
    for after in (0, 50, 100, 109):
        assert logs.chunks_after("job", "build", 1, after, 10) == [chunk]
    assert logs.head("job", "build", 1) == 110


def test_the_head_is_the_last_line_of_the_attempt(logs, written):
    assert logs.head("job", "build", 2) == 50
    assert [logs.head("job", "build", attempt) for attempt in (1, 3, 20)] == [99, 99, 99]
    later = a_chunk("job", attempt=2, first=51)
    logs.append(later, EXPIRES)
    assert logs.head("job", "build", 2) == 51
    assert logs.chunks_after("job", "build", 2, 50, 10) == [later]


def test_an_attempt_without_lines_has_no_head_and_no_chunks(logs, written):
    for job_id, step, attempt in (("job", "build", 4), ("job", "b", 2), ("nope", "build", 2)):
        assert logs.head(job_id, step, attempt) == 0
        assert logs.chunks_after(job_id, step, attempt, 0, 10) == []
