"""The worker's life around its steps: slots, heartbeats, orders, and the end."""

from pathlib import Path

import pytest

from chalicelib.domain.errors import (
    FencedError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import ActionType
from tests.fakes.runner import eventually, is_alive
from tests.fakes.worker import FakeControl, a_worker, an_assignment, at_work
from workers.control import Orders
from workers.log_stream import Pace

AWAY = UnavailableError("away")
# Only what is watched is sent before the step's end.
BY_WATCHERS = Pace(young_s=0, watched_s=0.01, unwatched_s=3600)
# Says that TERM came, and goes on; writes `{}/build.runs` once the trap stands.
STUBBORN = """
trap 'echo TERM came' TERM
touch {}/build.runs
while :; do sleep 300 & wait; done
"""


@pytest.fixture
def control():
    return FakeControl()


def a_gated(folder, step="build", **given):
    """A step that says that it runs and goes on until its gate is opened."""
    script = f"touch {folder}/{step}.runs; until [ -e {folder}/{step}.gate ]; do sleep 0.01; done"
    return an_assignment(script, step=step, **given)


def runs(folder, step="build"):
    return eventually((folder / f"{step}.runs").exists)


def open_gate(folder, step="build"):
    (folder / f"{step}.gate").touch()


def test_a_step_is_run_in_its_workspace_and_its_output_reported(control, tmp_path):
    control.put(an_assignment("cat hello.txt; echo 'OUTPUT: {\"n\": 1}'"))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    outcome = control.outcomes()["build"]
    assert (outcome.error, outcome.output) == (None, {"n": 1})
    assert control.texts() == ["hello", 'OUTPUT: {"n": 1}']


def test_a_failing_step_is_reported_with_its_exit_code_and_stderr(control, tmp_path):
    control.put(an_assignment("echo no >&2; exit 3"))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    assert control.outcomes()["build"].error == "Exit code: 3\nStderr: no"


def test_a_step_that_prints_nothing_sends_no_log(control, tmp_path):
    control.put(an_assignment(":"))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    assert control.chunks == []


def test_no_more_is_asked_for_than_slots_are_free(control, tmp_path):
    gated = [a_gated(tmp_path, f"s{number}") for number in range(5)]
    control.put(*gated)
    with at_work(a_worker(control, tmp_path, slots=3)):
        assert all(runs(tmp_path, f"s{number}") for number in range(3))
        asked = len(control.asked)
        assert not (tmp_path / "s3.runs").exists()
        open_gate(tmp_path, "s0")
        assert runs(tmp_path, "s3")
        # While all were busy nobody asked; for the one that came free, one was asked for.
        assert all(limit == 1 for _, _, limit in control.asked[asked:])
        for number in range(5):
            open_gate(tmp_path, f"s{number}")
        assert eventually(lambda: len(control.completed) == 5)
    assert control.most_under_way == 3


def test_each_pool_gets_its_turn_on_a_single_slot(control, tmp_path):
    for number in range(3):
        control.put(an_assignment(step=f"a{number}"), pool="script")
        control.put(an_assignment(step=f"b{number}"), pool="gpu")
    with at_work(a_worker(control, tmp_path, slots=1, pools=("script", "gpu"))):
        assert eventually(lambda: len(control.completed) == 6)
    assert control.most_under_way == 1


def test_an_offer_that_is_not_to_be_had_frees_its_slot(control, tmp_path):
    control.put(None, None, an_assignment())
    with at_work(a_worker(control, tmp_path, slots=1)):
        assert eventually(lambda: control.completed)


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
        thread.join(5)
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
        thread.join(5)
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
        thread.join(5)
        assert not thread.is_alive()
    assert control.outcomes()["build"].error.startswith("Worker stopped")


def test_an_idle_worker_stops_without_waiting_for_its_question(control, tmp_path):
    worker = a_worker(control, tmp_path, wait_s=3600)
    with at_work(worker) as thread:
        assert eventually(lambda: control.asked)
        worker.stop()
        thread.join(2)
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
        thread.join(5)
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
        thread.join(5)
        assert not thread.is_alive()
    assert control.outcomes()["build"].error is None


def test_an_end_that_is_fenced_off_is_dropped_and_the_worker_goes_on(control, tmp_path):
    control.faults["complete"] = [FencedError("another holds it")]
    control.put(an_assignment(step="stale"), an_assignment(step="next"))
    with at_work(a_worker(control, tmp_path, slots=1)):
        assert eventually(lambda: control.completed)
    assert list(control.outcomes()) == ["next"]


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


def test_a_step_whose_log_is_fenced_off_is_killed_and_not_reported(control, tmp_path):
    control.faults["append"] = [FencedError("another holds it")]
    control.put(an_assignment("echo $$; exec sleep 300"), an_assignment(step="next"))
    with at_work(a_worker(control, tmp_path, slots=1)):
        assert eventually(lambda: control.completed)
    assert list(control.outcomes()) == ["next"]


@pytest.mark.parametrize("method", ["register", "offers", "archive", "append", "complete"])
def test_an_engine_that_is_away_is_asked_again(control, tmp_path, method):
    control.faults[method] = [AWAY, AWAY]
    control.put(an_assignment("echo hello"))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    assert control.faults[method] == []
    assert control.outcomes()["build"].error is None
    assert control.texts() == ["hello"]


def test_an_end_that_is_refused_for_what_it_says_is_reported_as_a_failure(control, tmp_path):
    control.faults["complete"] = [InvalidError("the output is too odd")]
    control.put(an_assignment())
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    assert "the output is too odd" in control.outcomes()["build"].error


def test_a_worker_that_is_silent_too_long_asks_for_nothing_until_it_is_heard(control, tmp_path):
    control.faults["heartbeat"] = [AWAY] * 30
    with at_work(a_worker(control, tmp_path, wait_s=0.005, silent_after_s=0.02)):
        assert eventually(lambda: control.asked)
        assert eventually(lambda: len(control.faults["heartbeat"]) < 15)
        # Its last question may be open for another moment; after that there is none.
        assert eventually(lambda: _is_quiet(control))
        control.put(an_assignment())
        assert eventually(lambda: control.completed)
    assert control.faults["heartbeat"] == []


def _is_quiet(control):
    asked, faults = len(control.asked), len(control.faults["heartbeat"])
    eventually(lambda: len(control.faults["heartbeat"]) <= faults - 5)
    return asked == len(control.asked)


def test_a_session_that_is_not_known_is_opened_anew_and_its_steps_finish(control, tmp_path):
    control.put(a_gated(tmp_path))
    with at_work(a_worker(control, tmp_path)):
        assert runs(tmp_path)
        control.faults["heartbeat"] = [NotFoundError("no such session")]
        assert eventually(lambda: len(control.hellos) == 2)
        open_gate(tmp_path)
        assert eventually(lambda: control.completed)
    assert control.outcomes()["build"].error is None


def test_a_step_whose_files_are_gone_fails_with_the_reason(control, tmp_path):
    control.faults["archive"] = [NotFoundError("revision r1 is kept no longer")]
    control.put(an_assignment())
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    assert control.outcomes()["build"].error == "revision r1 is kept no longer"


def test_a_step_of_a_type_that_this_worker_cannot_run_fails_with_the_reason(control, tmp_path):
    control.put(an_assignment(type=ActionType.DOCKER))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    assert "docker" in control.outcomes()["build"].error


def test_a_worker_that_is_refused_says_so(control, tmp_path):
    control.faults["register"] = [UnauthenticatedError("the token is wrong")]
    with pytest.raises(UnauthenticatedError, match="the token is wrong"):
        a_worker(control, tmp_path).run()


def test_a_stop_before_the_engine_answered_ends_the_worker(control, tmp_path):
    control.faults["register"] = [AWAY] * 1000
    worker = a_worker(control, tmp_path)
    with at_work(worker) as thread:
        assert eventually(lambda: len(control.faults["register"]) < 1000)
        worker.stop()
        thread.join(5)
        assert not thread.is_alive()
    assert control.signed_off == 0


def test_nothing_of_a_step_is_left_on_the_machine(control, tmp_path):
    control.put(an_assignment("touch here $HOME/there $TMPDIR/yonder; pwd; echo $HOME"))
    with at_work(a_worker(control, tmp_path)):
        assert eventually(lambda: control.completed)
    folders = control.texts()
    assert len(folders) == 2
    assert not any(Path(folder).exists() for folder in folders)


def test_a_slot_goes_on_with_the_step_that_came_with_the_report(control, tmp_path):
    control.next_up = [an_assignment(step="second"), an_assignment(step="third")]
    control.put(an_assignment(step="first"))
    with at_work(a_worker(control, tmp_path, slots=1)):
        assert eventually(lambda: len(control.completed) == 3)
    assert list(control.outcomes()) == ["first", "second", "third"]


def test_after_a_stop_a_slot_does_not_go_on(control, tmp_path):
    control.next_up = [an_assignment(step="second")]
    control.put(a_gated(tmp_path, "first"))
    worker = a_worker(control, tmp_path, slots=1)
    with at_work(worker) as thread:
        assert runs(tmp_path, "first")
        worker.stop()
        assert eventually(worker._closing.is_set)
        open_gate(tmp_path, "first")
        thread.join(5)
    assert list(control.outcomes()) == ["first"]
