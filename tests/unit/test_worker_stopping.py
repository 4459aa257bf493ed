"""How a worker ends: after its steps, after its grace, or at once."""

import pytest

from chalicelib.domain.errors import UnavailableError
from tests.fakes.runner import eventually
from tests.fakes.worker import (
    FakeControl,
    a_gated,
    a_worker,
    an_assignment,
    at_work,
    open_gate,
    runs,
)
from workers.control import Orders

AWAY = UnavailableError("away")


@pytest.fixture
def control():
    return FakeControl()


def test_after_a_stop_running_steps_end_and_nothing_new_begins(control, tmp_path):
    control.put(a_gated(tmp_path))
    worker = a_worker(control, tmp_path, wait_s=3600)
    with at_work(worker) as thread:
        assert runs(tmp_path)
        # The other slot's question is open, and stays so over the stop.
        assert eventually(lambda: len(control.asked) == 2)
        worker.stop()
        assert eventually(worker._closing.is_set)
        control.put(an_assignment(step="late"))
        # Heartbeats go on, or the session would be taken for dead while it ends.
        control.beats.clear()
        assert eventually(lambda: len(control.beats) > 2)
        assert thread.is_alive()
        open_gate(tmp_path)
        thread.join(60)
        assert not thread.is_alive()
    assert list(control.outcomes()) == ["build"]
    assert control.outcomes()["build"].error is None
    assert control.signed_off == 1


def test_a_step_that_outlasts_the_grace_is_killed_and_reported(control, tmp_path):
    control.put(an_assignment(f"trap '' TERM; echo tail; touch {tmp_path}/build.runs; sleep 300"))
    worker = a_worker(control, tmp_path, grace_s=0.05)
    with at_work(worker) as thread:
        assert runs(tmp_path)
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
    outcome = control.outcomes()["build"]
    assert outcome.error.startswith("Worker stopped")
    assert not outcome.cancelled
    assert control.texts() == ["tail"]


def test_a_second_stop_does_not_wait_for_the_grace(control, tmp_path):
    control.put(a_gated(tmp_path))
    worker = a_worker(control, tmp_path, grace_s=3600)
    with at_work(worker) as thread:
        assert runs(tmp_path)
        worker.stop()
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
    assert control.outcomes()["build"].error.startswith("Worker stopped")


def test_an_idle_worker_stops_without_waiting_for_its_question(control, tmp_path):
    worker = a_worker(control, tmp_path, wait_s=3600)
    with at_work(worker) as thread:
        assert eventually(lambda: control.asked)
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
        control.put(None)


def test_where_an_offer_is_a_claim_the_open_question_is_waited_for(tmp_path):
    control = FakeControl(offers_are_claims=True)
    worker = a_worker(control, tmp_path, wait_s=3600)
    with at_work(worker) as thread:
        assert eventually(lambda: control.asked)
        worker.stop()
        assert eventually(worker._closing.is_set)
        control.put(an_assignment())
        thread.join(60)
        assert not thread.is_alive()
    assert control.outcomes()["build"].error is None


def test_an_order_to_drain_ends_the_worker_after_its_steps(control, tmp_path):
    control.put(a_gated(tmp_path))
    with at_work(a_worker(control, tmp_path, grace_s=0)) as thread:
        assert runs(tmp_path)
        control.given = Orders(drain=True)
        control.beats.clear()
        assert eventually(lambda: len(control.beats) > 3)
        open_gate(tmp_path)
        thread.join(60)
        assert not thread.is_alive()
    assert control.outcomes()["build"].error is None


def test_a_stop_before_the_engine_answered_ends_the_worker(control, tmp_path):
    control.faults["register"] = [AWAY] * 1000
    worker = a_worker(control, tmp_path)
    with at_work(worker) as thread:
        assert eventually(lambda: len(control.faults["register"]) < 1000)
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
    assert control.signed_off == 0


def test_after_a_stop_a_slot_does_not_go_on(control, tmp_path):
    control.next_up = [an_assignment(step="second")]
    control.put(a_gated(tmp_path, "first"))
    worker = a_worker(control, tmp_path, slots=1)
    with at_work(worker) as thread:
        assert runs(tmp_path, "first")
        worker.stop()
        assert eventually(worker._closing.is_set)
        open_gate(tmp_path, "first")
        thread.join(60)
    assert list(control.outcomes()) == ["first"]
