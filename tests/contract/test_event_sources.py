"""What every store of event sources keeps: one partition, and one winner of two ticks."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.event_sources import EventSourceRecord
from chalicelib.engine.ports_event_sources import Looked
from chalicelib.store import dynamo
from chalicelib.store.event_sources_table import EventSourcesTable
from chalicelib.store.memory_event_sources import MemoryEventSources
from tests.contract.faults import reply_lost_once
from tests.contract.places import REGION

FIRST = EventSourceRecord(workspace="shop", name="queue")
SECOND = EventSourceRecord(
    workspace="bank", name="a-b_c", number=7, job_id="j", revision="r", is_done=True
)


@pytest.fixture
def sources(place):
    if place.is_memory:
        return MemoryEventSources()
    return EventSourcesTable(place.table("RegistryTable"), REGION, place.host)


def test_records_and_marks_are_kept_as_they_were_and_read_at_once(sources):
    assert sources.look() == Looked([], {})
    for record in (FIRST, SECOND):
        sources.put(record, None)
    sources.mark("shop", "r1")
    sources.mark("shop", "r2")
    assert sources.look() == Looked([SECOND, FIRST], {"shop": "r2"})
    assert sources.record("bank", "a-b_c") == SECOND
    assert sources.record("bank", "queue") is None


def test_of_two_ticks_one_moves_a_consumer_on(sources):
    sources.put(FIRST, None)
    moved = replace(FIRST, number=1, job_id="j1", revision="r1")
    sources.put(moved, FIRST)
    sources.put(moved, FIRST)
    with pytest.raises(ConflictError):
        sources.put(replace(moved, revision="r2"), FIRST)
    with pytest.raises(ConflictError):
        sources.put(FIRST, None)
    assert sources.record("shop", "queue") == moved


def test_a_record_that_is_gone_is_gone(sources):
    sources.put(FIRST, None)
    sources.delete(FIRST)
    sources.delete(FIRST)
    assert sources.look() == Looked([], {})


def test_a_change_whose_reply_was_lost_is_done(remote):
    sources = EventSourcesTable(remote.table("RegistryTable"), REGION, remote.host)
    with reply_lost_once(dynamo.connection(REGION, remote.host).client, "PutItem") as lost:
        sources.put(FIRST, None)
    assert lost
    assert sources.record("shop", "queue") == FIRST
