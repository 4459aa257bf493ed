"""What every log store says of many attempts at once, and how often the table is asked for it."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.domain.logs import LogPart
from chalicelib.store.logs_table import LogsTable
from chalicelib.store.memory import MemoryLogs
from tests.contract.places import REGION
from tests.fakes.builders import a_chunk
from tests.fakes.clock import NOON

EXPIRES = NOON + timedelta(days=30)
ALL = 10**9
LOOP = [(f"loop[{index}]", 1) for index in range(20, 60)]
ATTEMPTS = st.tuples(
    st.sampled_from(["a", "ab", "a-b", "a[1]", "a[10]", "a[2]", "ab[1]", "b", "größe[3]", "A"]),
    st.integers(1, 12),
)
# Of each chunk of an attempt, how many lines are missing before it, and how many it has.
CHUNKS = st.lists(st.tuples(st.sampled_from([0, 0, 5]), st.integers(1, 3)), max_size=3)


@pytest.fixture
def logs(place):
    if place.is_memory:
        return MemoryLogs()
    return LogsTable(place.table("LogsTable"), REGION, place.host)


@pytest.fixture
def table(remote):
    return LogsTable(remote.table("LogsTable"), REGION, remote.host)


def written(logs, job_id, attempt, chunks):
    """Write chunks of so many lines, each behind a hole of so many."""
    step, number = attempt
    last = 0
    for hole, lines in chunks:
        chunk = a_chunk(job_id, step, attempt=number, first=last + hole + 1, lines=lines)
        logs.append(chunk, EXPIRES)
        last = chunk.last


@contextmanager
def counted(client):
    """Count the queries that are made."""
    found = []

    def note(params, **_):
        found.append(params)

    client.meta.events.register("before-parameter-build.dynamodb.Query", note)
    try:
        yield found
    finally:
        client.meta.events.unregister("before-parameter-build.dynamodb.Query", note)


JOBS = iter(range(ALL))


@settings(
    max_examples=6,
    # The unit tests shrink: here that would take minutes. Each example has a job of its own.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    there=st.dictionaries(ATTEMPTS, CHUNKS, min_size=9, max_size=20),
    absent=st.lists(ATTEMPTS, max_size=8),
    data=st.data(),
)
def test_of_many_attempts_the_same_is_said_as_of_each_by_itself(logs, there, absent, data):
    job_id = f"job-{next(JOBS)}"
    for attempt, chunks in there.items():
        written(logs, job_id, attempt, chunks)
    known = sorted({*there, *absent})
    asked = data.draw(st.permutations(known))[: data.draw(st.integers(0, len(known)))]
    heads = [logs.head(job_id, *attempt) for attempt in asked]
    assert logs.heads(job_id, asked) == heads
    spans = [sorted(data.draw(st.tuples(*[st.integers(0, head + 1)] * 2))) for head in heads]
    parts = [LogPart(*one, *span) for one, span in zip(asked, spans, strict=True)]
    each = [
        chunk
        for part in parts
        for chunk in logs.chunks_after(job_id, part.step, part.attempt, part.after, ALL)
        if part.after < part.last and chunk.first <= part.last
    ]
    assert logs.chunks_of(job_id, parts) == each


def test_who_is_asked_for_twice_is_told_twice(logs):
    for attempt in LOOP[:12]:
        written(logs, "job", attempt, [(0, 2)])
    assert logs.heads("job", LOOP[:12] * 2) == [2] * 24
    assert logs.heads("job", []) == []


def test_short_attempts_of_a_loop_take_a_query_for_many(table, dynamodb):
    for attempt in LOOP:
        written(table, "job", attempt, [(0, 2)])
    with counted(dynamodb) as asked:
        assert table.heads("job", LOOP) == [2] * 40
    assert len(asked) == 2
    with counted(dynamodb) as asked:
        found = table.chunks_of("job", [LogPart(*one, 0, ALL) for one in reversed(LOOP)])
    assert len(asked) == 2
    assert [chunk.step for chunk in found] == [step for step, _ in reversed(LOOP)]


def test_of_long_attempts_the_chunks_that_are_wanted_are_read(table, dynamodb):
    for attempt in LOOP[:9]:
        written(table, "job", attempt, [(0, 1)] * 12)
    with counted(dynamodb) as asked:
        found = table.chunks_of("job", [LogPart(*one, 10, 11) for one in LOOP[:9]])
    assert [(chunk.first, chunk.last) for chunk in found] == [(11, 11)] * 9
    # A page that settled two, and of each of the others which chunk is the first, and the rest.
    assert len(asked) == 1 + 2 * 7


def test_few_attempts_are_asked_for_one_by_one(table, dynamodb):
    for attempt in LOOP[:8]:
        written(table, "job", attempt, [(0, 1)] * 2)
    with counted(dynamodb) as asked:
        assert table.heads("job", LOOP[:8]) == [2] * 8
    assert [one["Limit"] for one in asked] == [1] * 8


def test_a_head_is_read_without_the_text(table, dynamodb):
    for attempt in LOOP[:9]:
        written(table, "job", attempt, [(0, 1)])
    with counted(dynamodb) as asked:
        assert table.heads("job", LOOP[:9]) == [1] * 9
    [page] = asked
    assert page["ConsistentRead"] is True
    assert sorted(page["ExpressionAttributeNames"].values()) == [
        "attempt",
        "first",
        "last",
        "pk",
        "sk",
        "step",
    ]
