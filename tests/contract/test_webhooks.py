"""What every store of webhooks and of deliveries keeps."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.notify import Delivery, DeliveryState, Try
from chalicelib.engine.ports_webhooks import HookEntry
from chalicelib.store.deliveries_table import DeliveriesTable
from chalicelib.store.memory_deliveries import MemoryDeliveries
from chalicelib.store.memory_webhooks import MemoryWebhooks
from chalicelib.store.webhooks_table import WebhooksTable
from tests.contract.faults import reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON

LATER = NOON + timedelta(minutes=10)
ONE = Delivery(
    job_id="j1",
    delivery_id="d1",
    number=1,
    created_at=NOON,
    nonce="n1",
    due=NOON,
    round=2,
    tries=(
        Try(at=NOON, status=500),
        Try(at=LATER, error="nobody answered: ø"),
        Try(at=LATER, status=200),
    ),
)


@pytest.fixture
def hooks(place):
    if place.is_memory:
        return MemoryWebhooks()
    return WebhooksTable(place.table("RegistryTable"), REGION, place.host)


@pytest.fixture
def deliveries(place):
    if place.is_memory:
        return MemoryDeliveries()
    return DeliveriesTable(place.table("RegistryTable"), REGION, place.host)


@pytest.fixture
def remote_hooks(remote):
    return WebhooksTable(remote.table("RegistryTable"), REGION, remote.host)


@pytest.fixture
def remote_deliveries(remote):
    return DeliveriesTable(remote.table("RegistryTable"), REGION, remote.host)


def test_a_name_has_its_workspaces_in_order(hooks):
    for workspace in ("zoo", "bar"):
        hooks.put(HookEntry("push", workspace, "t", "n1"))
    hooks.put(HookEntry("push", "bar", "other", "n2"))
    hooks.put(HookEntry("push2", "bar", "t", "n1"))
    assert hooks.entries("push") == [
        HookEntry("push", "bar", "other", "n2"),
        HookEntry("push", "zoo", "t", "n1"),
    ]
    assert hooks.entries("none") == []


def test_only_the_entry_that_was_seen_is_dropped(hooks):
    seen = HookEntry("push", "bar", "t", "n1")
    hooks.put(seen)
    newer = replace(seen, nonce="n2")
    hooks.put(newer)
    hooks.drop(seen)
    assert hooks.entries("push") == [newer]
    hooks.drop(newer)
    hooks.drop(newer)
    assert hooks.entries("push") == []


def test_the_first_of_two_equal_deliveries_stands_until_its_time(hooks):
    assert hooks.first_seen("a/t", "s1", "n1", NOON, LATER) == "n1"
    assert hooks.first_seen("a/t", "s1", "n2", NOON, LATER) == "n1"
    assert hooks.first_seen("a/t", "s1", "n3", LATER, LATER) == "n1"
    assert hooks.first_seen("a/t", "s2", "n2", NOON, LATER) == "n2"
    assert hooks.first_seen("b/t", "s1", "n2", NOON, LATER) == "n2"
    after = LATER + timedelta(seconds=1)
    assert hooks.first_seen("a/t", "s1", "n4", after, after) == "n4"


def test_calls_are_counted_by_hook_and_minute(hooks):
    assert [hooks.count("a/t", NOON, LATER) for _ in range(3)] == [1, 2, 3]
    assert hooks.count("a/u", NOON, LATER) == 1
    assert hooks.count("a/t", LATER, LATER) == 1


def test_a_delivery_comes_back_as_it_was_kept(deliveries):
    deliveries.add(ONE)
    assert deliveries.get("j1", "d1") == ONE
    ended = replace(ONE, state=DeliveryState.DELIVERED, due=None, nonce="n2", tries=())
    deliveries.replace(ended, ONE)
    assert deliveries.get("j1", "d1") == ended


def test_deliveries_of_a_job_are_listed_by_number(deliveries):
    zero = replace(ONE, delivery_id="d9", number=0)
    for one in (ONE, zero, replace(ONE, job_id="j2")):
        deliveries.add(one)
    assert deliveries.of_job("j1") == [zero, ONE]
    assert deliveries.of_job("none") == []
    with pytest.raises(NotFoundError):
        deliveries.get("j1", "none")


def test_adding_again_changes_nothing(deliveries):
    deliveries.add(ONE)
    deliveries.add(replace(ONE, nonce="n9", round=0))
    assert deliveries.get("j1", "d1") == ONE


def test_of_two_changes_at_a_time_one_is_refused(deliveries):
    deliveries.add(ONE)
    deliveries.replace(replace(ONE, nonce="n2"), ONE)
    with pytest.raises(ConflictError):
        deliveries.replace(replace(ONE, nonce="n3"), ONE)
    with pytest.raises(ConflictError):
        deliveries.replace(replace(ONE, delivery_id="none", nonce="n3"), ONE)
    assert deliveries.get("j1", "d1").nonce == "n2"


def test_what_is_due_is_found_oldest_first_and_nothing_else(deliveries):
    for number, due in enumerate((NOON, NOON - timedelta(hours=1), LATER, None)):
        deliveries.add(replace(ONE, delivery_id=f"d{number}", due=due))
    assert deliveries.due(NOON, 10) == [("j1", "d1"), ("j1", "d0")]
    assert deliveries.due(NOON, 1) == [("j1", "d1")]
    first = deliveries.get("j1", "d1")
    deliveries.replace(replace(first, due=None, nonce="n2"), first)
    assert deliveries.due(NOON, 10) == [("j1", "d0")]


def test_a_write_whose_reply_was_lost_counts_as_done(remote_hooks, remote_deliveries, dynamodb):
    with reply_lost_once(dynamodb, "PutItem"):
        assert remote_hooks.first_seen("a/t", "s1", "n1", NOON, LATER) == "n1"
    remote_deliveries.add(ONE)
    with reply_lost_once(dynamodb, "PutItem"):
        remote_deliveries.replace(replace(ONE, nonce="n2"), ONE)
    assert remote_deliveries.get("j1", "d1").nonce == "n2"
