"""Receivers: which pool is asked when a slot comes free, and how pools are learned of."""

import threading

import pytest

from tests.fakes.runner import eventually
from tests.fakes.worker import FakeControl, a_worker, an_assignment, at_work
from workers.control import Orders
from workers.receivers import Receivers
from workers.slots import Slots


@pytest.fixture
def control():
    return FakeControl()


def gated(folder, step, **given):
    script = f"touch {folder}/{step}.runs; until [ -e {folder}/{step}.gate ]; do sleep 0.01; done"
    return an_assignment(script, step=step, **given)


def test_of_work_that_waits_a_single_slot_takes_the_urgent_first_and_what_can_wait_last(
    control, tmp_path
):
    control.pools = ("script_high", "script", "script_low")
    control.put(gated(tmp_path, "first"))
    with at_work(a_worker(control, tmp_path, slots=1)):
        assert eventually((tmp_path / "first.runs").exists)
        for number in range(3):
            control.put(an_assignment(step=f"low{number}"), pool="script_low")
            control.put(an_assignment(step=f"normal{number}"))
            control.put(an_assignment(step=f"high{number}"), pool="script_high")
        (tmp_path / "first.gate").touch()
        assert eventually(lambda: len(control.completed) == 10)
    order = [hold.ref.step for hold, _ in control.completed]
    assert order[1:] == [f"{lane}{n}" for lane in ("high", "normal", "low") for n in range(3)]


def test_a_pool_that_a_heartbeat_tells_of_is_asked_once(control, tmp_path):
    control.pools = ("script",)
    control.put(an_assignment(step="far"), pool="script-gpu")
    with at_work(a_worker(control, tmp_path)):
        control.given = Orders(pools=("script", "script-gpu"))
        assert eventually(lambda: control.completed)
    names = [pool for pool, _, _ in control.asked]
    assert set(names) == {"script", "script-gpu"}


def test_a_worker_that_no_pool_fits_asks_none_until_there_is_one(control, tmp_path):
    control.pools = ()
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: len(control.beats) > 1)
        assert control.asked == []
        control.put(an_assignment(), pool="script-gpu")
        control.given = Orders(pools=("script-gpu",))
        assert eventually(lambda: control.completed)


def test_an_older_engine_that_names_no_pools_is_asked_for_what_the_worker_can_do(
    control, tmp_path
):
    control.put(an_assignment())
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)


def test_a_slot_goes_on_with_its_job_unless_urgent_work_may_wait_for_it():
    slots = Slots(1)
    receivers = Receivers(_Silent(), slots, 20, lambda *_: None, lambda: None)
    (held,) = slots.reserve(1)
    receivers.ask(["script"])
    assert eventually(lambda: slots.is_short)
    assert receivers.may_go_on("script")
    receivers.ask(["script_high"])
    assert not receivers.may_go_on("script")
    assert receivers.may_go_on("script_high")
    receivers.close()
    slots.close()
    slots.give_back([held])


class _Silent:
    """Gives no work."""

    offers_are_claims = False

    def __init__(self):
        self._left = threading.Event()

    def offers(self, pool, wait_s, limit):
        return []
