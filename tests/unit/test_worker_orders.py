"""What a worker is told while it works: to stop a step, and whether its log is watched."""

import pytest

from chalicelib.domain.errors import NotFoundError, UnavailableError
from chalicelib.domain.values import StepRef
from tests.fakes.runner import eventually, is_alive
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
from workers.log_stream import Pace

AWAY = UnavailableError("away")


@pytest.fixture
def control():
    return FakeControl()


# Only what is watched is sent before the step's end.
BY_WATCHERS = Pace(young_s=0, watched_s=0.01, unwatched_s=3600)
# Says that TERM came, and goes on; writes `{}/build.runs` once the trap stands.
STUBBORN = """
trap 'echo TERM came' TERM
touch {}/build.runs
while :; do sleep 300 & wait; done
"""


def test_heartbeats_say_what_runs(control, tmp_path):
    control.put(a_gated(tmp_path))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: (StepRef("job-1", "build"),) in control.beats)
        open_gate(tmp_path)
        assert eventually(lambda: control.completed)
        control.beats.clear()
        assert eventually(lambda: () in control.beats)


def test_an_order_to_cancel_ends_the_step_and_its_grandchildren(control, tmp_path):
    script = f"(sleep 300 & echo $! > {tmp_path}/pid; wait) & wait"
    control.put(an_assignment(script), an_assignment(":", step="other", job="job-2"))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        grandchild = int((tmp_path / "pid").read_text())
        assert is_alive(grandchild)
        control.given = Orders((StepRef("job-1", "build"),))
        assert eventually(lambda: "build" in control.outcomes())
    assert not is_alive(grandchild)
    assert control.outcomes()["build"].cancelled
    assert not control.outcomes()["other"].cancelled


def test_an_order_is_obeyed_long_before_the_next_heartbeat(tmp_path):
    control = FakeControl(heartbeat_s=3600)
    control.put(a_gated(tmp_path))
    with at_work(a_worker(control, tmp_path, orders_s=0.02)):
        assert runs(tmp_path)
        control.given = Orders((StepRef("job-1", "build"),))
        assert eventually(lambda: control.completed)
    assert control.outcomes()["build"].cancelled
    assert control.beats == []


def test_an_order_to_kill_gives_no_grace(tmp_path):
    control = FakeControl(heartbeat_s=3600)
    control.put(an_assignment(STUBBORN.format(tmp_path)))
    with at_work(a_worker(control, tmp_path, orders_s=0.02)):
        assert runs(tmp_path)
        control.given = Orders((StepRef("job-1", "build"),), (StepRef("job-1", "build"),))
        assert eventually(lambda: control.completed)
    assert control.outcomes()["build"].cancelled
    assert "TERM came" not in control.texts()


def test_an_order_to_kill_cuts_the_grace_of_an_earlier_one_short(tmp_path):
    control = FakeControl(heartbeat_s=3600)
    control.put(an_assignment(STUBBORN.format(tmp_path)))
    with at_work(a_worker(control, tmp_path, orders_s=0.02)):
        assert runs(tmp_path)
        control.given = Orders((StepRef("job-1", "build"),))
        assert eventually(lambda: "TERM came" in control.texts())
        assert control.completed == []
        control.given = Orders((StepRef("job-1", "build"),), (StepRef("job-1", "build"),))
        assert eventually(lambda: control.completed)
    assert control.outcomes()["build"].cancelled


def test_orders_are_asked_for_only_while_something_runs(tmp_path):
    control = FakeControl()
    with at_work(a_worker(control, tmp_path, orders_s=0.001)):
        assert eventually(lambda: len(control.beats) > 5)
        assert control.questions == []
        control.put(a_gated(tmp_path))
        assert eventually(lambda: (StepRef("job-1", "build"),) in control.questions)
        open_gate(tmp_path)


def test_a_question_for_orders_that_is_not_answered_is_asked_again(tmp_path):
    control = FakeControl(heartbeat_s=3600)
    control.faults["orders"] = [AWAY, NotFoundError("no such route")]
    control.put(a_gated(tmp_path))
    with at_work(a_worker(control, tmp_path, orders_s=0.001)):
        assert runs(tmp_path)
        control.given = Orders((StepRef("job-1", "build"),))
        assert eventually(lambda: control.completed)
    assert control.faults["orders"] == []


@pytest.mark.parametrize("way", ["claim", "orders", "heartbeat"])
def test_the_log_of_a_job_that_is_watched_comes_while_the_step_runs(control, tmp_path, way):
    waits = {"orders": {"orders_s": 0.01}, "heartbeat": {"orders_s": 3600}}.get(way, {})
    gated = a_gated(tmp_path).rendered.script
    control.put(an_assignment(f"echo hello; {gated}", watched=way == "claim"))
    with at_work(a_worker(control, tmp_path, pace=BY_WATCHERS, **waits)):
        assert runs(tmp_path)
        if way != "claim":
            assert control.texts() == []
            control.given = Orders(watched=frozenset({"job-1"}))
        assert eventually(lambda: control.texts() == ["hello"])
        open_gate(tmp_path)
        assert eventually(lambda: control.completed)
    assert control.live == [True]


def test_the_log_of_a_job_that_is_watched_no_more_waits_for_the_step_s_end(control, tmp_path):
    control.given = Orders(watched=frozenset({"job-2"}))
    gated = a_gated(tmp_path).rendered.script
    control.put(an_assignment(f"{gated}; echo one; sleep 0.1; echo two", watched=True))
    with at_work(a_worker(control, tmp_path, pace=BY_WATCHERS, orders_s=0.01)):
        assert eventually(lambda: len(control.questions) > 2)
        open_gate(tmp_path)
        assert eventually(lambda: control.completed)
    assert ([len(lines) for _, _, lines in control.chunks], control.live) == ([2], [False])
