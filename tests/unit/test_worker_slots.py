"""Slots: reserved before they are used, free again whatever happens."""

import threading

from tests.fakes.runner import eventually
from workers.slots import Slots


def test_a_reservation_takes_what_is_free_up_to_its_limit():
    slots = Slots(3)
    assert slots.reserve(2) == [0, 1]
    assert slots.reserve(5) == [2]
    slots.give_back([1])
    assert slots.reserve(5) == [1]


def test_a_slot_is_free_again_when_its_work_ends_or_breaks_off():
    idle = threading.Semaphore(0)
    slots = Slots(1, idle.release)

    def break_off(_):
        raise RuntimeError

    for work in (break_off, lambda _: None):
        slots.start(slots.reserve(1)[0], work)
        assert idle.acquire(timeout=60)
        assert slots.is_idle
    assert slots.free == 1


def test_while_paused_nothing_is_reserved():
    slots = Slots(1)
    slots.pause()
    got = []
    thread = threading.Thread(target=lambda: got.append(slots.reserve(1)))
    thread.start()
    thread.join(0.05)
    assert got == []
    slots.resume()
    thread.join(60)
    assert got == [[0]]


def test_closing_sends_everybody_away_who_waits():
    slots = Slots(1)
    slots.reserve(1)
    got = []
    threads = [threading.Thread(target=lambda: got.append(slots.reserve(1))) for _ in range(3)]
    for thread in threads:
        thread.start()
    slots.close()
    assert eventually(lambda: got == [[], [], []])
    assert slots.reserve(1) == []


def test_who_waits_longest_comes_first():
    slots = Slots(1)
    slots.reserve(1)
    order = []

    def take_turns(name):
        for _ in range(20):
            taken = slots.reserve(1)
            order.append(name)
            slots.give_back(taken)

    threads = [threading.Thread(target=take_turns, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(slots._waiting) == 2)
    slots.give_back([0])
    for thread in threads:
        thread.join(60)
    assert "".join(order) in ("ab" * 20, "ba" * 20)
