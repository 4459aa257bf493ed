"""What every store of slots keeps: never more holders than the limit, and a line in order."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from chalicelib.domain.job import Slot
from chalicelib.domain.workflow import Priority
from chalicelib.engine.ports import Line, Waiter
from chalicelib.store.memory_slots import MemorySlots
from chalicelib.store.slots_table import SlotsTable
from tests.contract.faults import meanwhile, no_reply, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON

KEY = "task/demo/build/[a] #1 ø"


@pytest.fixture
def slots(place):
    if place.is_memory:
        return MemorySlots()
    return SlotsTable(place.table("JobsTable"), REGION, place.host)


@pytest.fixture
def remote_slots(remote):
    return SlotsTable(remote.table("JobsTable"), REGION, remote.host)


def a_waiter(job_id, priority=Priority.NORMAL, after_s=0):
    return Waiter(job_id=job_id, priority=priority, since=NOON + timedelta(seconds=after_s))


# places


def test_places_are_given_up_to_the_limit(slots):
    slot = Slot(KEY, 2)
    assert [slots.take(slot, job) for job in ("a", "b", "c")] == [True, True, False]
    assert slots.line(KEY, 10) == Line(frozenset({"a", "b"}), ())


def test_who_has_a_place_has_it_however_often_it_asks(slots):
    slot = Slot(KEY, 1)
    assert [slots.take(slot, job) for job in ("a", "a", "b", "a")] == [True, True, False, True]


def test_a_place_that_was_given_back_is_free_and_a_repeat_frees_no_other(slots):
    slot = Slot(KEY, 1)
    slots.give_back(KEY, "a")
    assert slots.line(KEY, 10) == Line(frozenset(), ())
    slots.take(slot, "a")
    slots.give_back(KEY, "a")
    assert slots.take(slot, "b")
    slots.give_back(KEY, "a")
    assert not slots.take(slot, "c")
    assert slots.line(KEY, 10).holders == {"b"}


def test_a_limit_that_was_lowered_takes_no_place_away(slots):
    for job in ("a", "b"):
        slots.take(Slot(KEY, 2), job)
    assert slots.take(Slot(KEY, 1), "b")
    slots.give_back(KEY, "a")
    assert not slots.take(Slot(KEY, 1), "c")


def test_without_places_none_is_given(slots):
    assert not slots.take(Slot(KEY, 0), "a")


def test_keys_do_not_share_places_or_lines(slots):
    for key in ("one", "one/a", "two"):
        assert slots.take(Slot(key, 1), "a")
    slots.wait("one", a_waiter("b"))
    assert slots.line("two", 10) == Line(frozenset({"a"}), ())


# lines


def test_a_line_is_ordered_by_priority_then_by_time_then_by_id(slots):
    in_order = [
        a_waiter("h", Priority.HIGH, after_s=9),
        a_waiter("n-early", after_s=1),
        a_waiter("n-late-a", after_s=2.000001),
        a_waiter("n-late-b", after_s=2.000001),
        a_waiter("l", Priority.LOW),
    ]
    for waiter in (*in_order[::-1], in_order[2]):
        slots.wait(KEY, waiter)
    assert slots.line(KEY, 10) == Line(frozenset(), tuple(in_order))
    slots.take(Slot(KEY, 1), "holder")
    assert slots.line(KEY, 2) == Line(frozenset({"holder"}), tuple(in_order[:2]))
    slots.leave_line(KEY, in_order[0])
    slots.leave_line(KEY, in_order[0])
    assert slots.line(KEY, 1).waiters == (in_order[1],)


def test_of_a_long_line_the_first_are_told(slots):
    waiters = [a_waiter(f"job-{number:03d}") for number in range(120)]
    for waiter in waiters:
        slots.wait(KEY, waiter)
    assert slots.line(KEY, 100).waiters == tuple(waiters[:100])


# lost replies and others


def test_a_place_whose_reply_was_lost_is_taken_once(remote_slots, dynamodb):
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        assert remote_slots.take(Slot(KEY, 1), "a")
    assert lost
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        remote_slots.give_back(KEY, "a")
    assert lost
    assert remote_slots.take(Slot(KEY, 1), "b")


def test_a_place_that_timed_out_is_found_by_the_repeat(remote_slots, dynamodb):
    with no_reply(dynamodb, "UpdateItem"), pytest.raises(Exception, match="did not answer"):
        remote_slots.take(Slot(KEY, 1), "a")
    assert remote_slots.take(Slot(KEY, 1), "a")
    assert not remote_slots.take(Slot(KEY, 1), "b")


def test_of_two_that_take_the_last_place_at_once_one_has_it(remote_slots, dynamodb):
    taken = []

    def other():
        taken.append(remote_slots.take(Slot(KEY, 1), "b"))

    with meanwhile(dynamodb, "UpdateItem", 1, other):
        taken.append(remote_slots.take(Slot(KEY, 1), "a"))
    assert taken == [True, False]
    assert remote_slots.line(KEY, 1).holders == {"b"}


@pytest.mark.slow
def test_sixteen_that_take_and_give_back_never_hold_more_than_the_limit(emulator):
    slots = SlotsTable(emulator.table("JobsTable"), REGION, emulator.host)
    slot, start = Slot(KEY, 5), Barrier(16)

    def taker(name):
        most = won = 0
        start.wait()
        for number in range(40):
            job = f"{name}-{number}"
            if slots.take(slot, job):
                won += 1
                most = max(most, len(slots.line(KEY, 1).holders))
                slots.give_back(KEY, job)
        return most, won

    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(taker, range(16)))
    assert max(most for most, _ in seen) == slot.limit
    assert sum(won for _, won in seen) >= 40
    assert slots.line(KEY, 1).holders == frozenset()
