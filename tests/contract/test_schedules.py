"""What every store of triggers' records and backfills keeps: no write over another's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.schedule.records import Backfill, BackfillStatus, Mark, TriggerRecord
from chalicelib.domain.schedule.timing import Timing
from chalicelib.store.memory_schedules import MemoryBackfills, MemorySchedules
from chalicelib.store.schedules_table import BackfillsTable, SchedulesTable
from tests.contract.faults import meanwhile, no_reply, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON

TIMING = Timing("*/5 * * * *", "Europe/Copenhagen", NOON + timedelta(days=1, microseconds=1), 30)
RECORD = TriggerRecord(
    workspace="shop",
    name="nightly",
    timing=TIMING,
    next_at=NOON,
    paused=True,
    enabled=False,
    error="day: is required ø",
    error_at=NOON - timedelta(minutes=5),
)
BACKFILL = Backfill(
    backfill_id="0190-a",
    workspace="shop",
    trigger="nightly",
    timing=TIMING,
    first=NOON,
    last=NOON + timedelta(hours=1),
    max_parallel=3,
    total=13,
    created_at=NOON,
    by="ann@example.com",
    next_at=NOON + timedelta(minutes=5),
    made=1,
    existing=2,
    error="no",
)


@pytest.fixture
def stores(place):
    if place.is_memory:
        return SimpleNamespace(schedules=MemorySchedules(), backfills=MemoryBackfills())
    return tables(place)


@pytest.fixture
def remote_stores(remote):
    return tables(remote)


def tables(place):
    name = place.table("RegistryTable")
    return SimpleNamespace(
        schedules=SchedulesTable(name, REGION, place.host),
        backfills=BackfillsTable(name, REGION, place.host),
    )


# triggers


def test_a_record_is_kept_as_it_is(stores):
    plain = TriggerRecord(workspace="shop", name="a")
    for record in (RECORD, plain):
        stores.schedules.put(record, None)
        assert stores.schedules.trigger("shop", record.name) == record
    assert stores.schedules.triggers("shop") == [plain, RECORD]
    assert stores.schedules.triggers("sho") == []
    assert stores.schedules.trigger("shop", "none") is None


def test_a_record_is_replaced_only_as_it_was_read(stores):
    moved = replace(RECORD, next_at=NOON + timedelta(minutes=5))
    with pytest.raises(ConflictError):
        stores.schedules.put(moved, RECORD)
    stores.schedules.put(RECORD, None)
    stores.schedules.put(moved, RECORD)
    with pytest.raises(ConflictError):
        stores.schedules.put(replace(RECORD, paused=False), RECORD)
    with pytest.raises(ConflictError):
        stores.schedules.put(RECORD, None)
    assert stores.schedules.trigger("shop", "nightly") == moved


def test_two_that_write_the_same_are_both_right(stores):
    stores.schedules.put(RECORD, None)
    stores.schedules.put(RECORD, None)


def test_a_record_is_removed_only_as_it_was_read(stores):
    stores.schedules.put(RECORD, None)
    with pytest.raises(ConflictError):
        stores.schedules.delete(replace(RECORD, paused=False))
    stores.schedules.delete(RECORD)
    stores.schedules.delete(RECORD)
    assert stores.schedules.triggers("shop") == []


def test_those_whose_time_has_come_are_found_earliest_first(stores):
    for number, name in enumerate(("c", "a", "b")):
        at = NOON + timedelta(seconds=number)
        stores.schedules.put(replace(RECORD, name=name, workspace=f"w{number}", next_at=at), None)
    stores.schedules.put(replace(RECORD, name="never", next_at=None), None)
    stores.backfills.put(BACKFILL, None)
    due = stores.schedules.due
    assert due(NOON + timedelta(seconds=1), 10) == [("w0", "c"), ("w1", "a")]
    assert due(NOON + timedelta(hours=1), 1) == [("w0", "c")]
    assert due(NOON - timedelta(microseconds=1), 10) == []


def test_a_schedule_that_stopped_is_not_found_any_more(stores):
    stores.schedules.put(RECORD, None)
    stores.schedules.put(replace(RECORD, next_at=None), RECORD)
    assert stores.schedules.due(NOON + timedelta(days=1), 10) == []


def test_marks_tell_of_each_workspace_what_was_written_last(stores):
    assert stores.schedules.marks() == {}
    stores.schedules.mark("shop", Mark("r1", NOON))
    stores.schedules.mark("other", Mark("r9", NOON))
    stores.schedules.mark("shop", Mark("r2", NOON))
    assert stores.schedules.marks() == {"shop": Mark("r2", NOON), "other": Mark("r9", NOON)}


# backfills


def test_a_backfill_is_kept_as_it_is_and_replaced_only_as_it_was_read(stores):
    stores.backfills.put(BACKFILL, None)
    assert stores.backfills.get("shop", "0190-a") == BACKFILL
    moved = replace(BACKFILL, made=2, next_at=None)
    stores.backfills.put(moved, BACKFILL)
    with pytest.raises(ConflictError):
        stores.backfills.put(replace(BACKFILL, made=9), BACKFILL)
    assert stores.backfills.get("shop", "0190-a") == moved
    with pytest.raises(NotFoundError):
        stores.backfills.get("other", "0190-a")


def test_the_newest_backfills_of_a_workspace_are_listed(stores):
    for number in range(3):
        stores.backfills.put(replace(BACKFILL, backfill_id=f"0190-{number}"), None)
    listed = stores.backfills.of_workspace("shop", 2)
    assert [one.backfill_id for one in listed] == ["0190-2", "0190-1"]
    assert stores.backfills.of_workspace("other", 2) == []


def test_a_backfill_runs_until_it_has_ended(stores):
    late = replace(BACKFILL, backfill_id="b", created_at=NOON + timedelta(seconds=1))
    for record in (late, BACKFILL):
        stores.backfills.put(record, None)
    assert stores.backfills.running(10) == [("shop", "0190-a"), ("shop", "b")]
    assert stores.backfills.running(1) == [("shop", "0190-a")]
    ended = replace(BACKFILL, status=BackfillStatus.COMPLETED, ended_at=NOON)
    stores.backfills.put(ended, BACKFILL)
    assert stores.backfills.running(10) == [("shop", "b")]
    assert stores.backfills.get("shop", "0190-a") == ended


# lost replies and others


def test_a_write_whose_reply_was_lost_counts(remote_stores, dynamodb):
    with reply_lost_once(dynamodb, "PutItem") as lost:
        remote_stores.schedules.put(RECORD, None)
    assert lost
    moved = replace(RECORD, next_at=None)
    with reply_lost_once(dynamodb, "PutItem"):
        remote_stores.schedules.put(moved, RECORD)
    with reply_lost_once(dynamodb, "DeleteItem"):
        remote_stores.schedules.delete(moved)
    assert remote_stores.schedules.triggers("shop") == []


def test_a_write_that_timed_out_may_have_arrived(remote_stores, dynamodb):
    with no_reply(dynamodb, "PutItem"), pytest.raises(Exception, match="did not answer"):
        remote_stores.schedules.put(RECORD, None)
    assert remote_stores.schedules.trigger("shop", "nightly") == RECORD


def test_of_two_that_change_a_record_at_once_one_is_refused(remote_stores, dynamodb):
    remote_stores.schedules.put(RECORD, None)
    mine, other = replace(RECORD, paused=False), replace(RECORD, next_at=None)

    def write_other():
        remote_stores.schedules.put(other, RECORD)

    with meanwhile(dynamodb, "PutItem", 1, write_other), pytest.raises(ConflictError):
        remote_stores.schedules.put(mine, RECORD)
    assert remote_stores.schedules.trigger("shop", "nightly") == other
