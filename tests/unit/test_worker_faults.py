"""What a worker does when the engine is away, refuses it, or gave its step to another."""

import pytest

from chalicelib.domain.errors import (
    FencedError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from chalicelib.domain.workflow import ActionType
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

AWAY = UnavailableError("away")


@pytest.fixture
def control():
    return FakeControl()


def test_an_end_that_is_fenced_off_is_dropped_and_the_worker_goes_on(control, tmp_path):
    control.faults["complete"] = [FencedError("another holds it")]
    control.put(an_assignment(step="stale"), an_assignment(step="next"))
    with at_work(a_worker(control, tmp_path, slots=1)):
        assert eventually(lambda: control.completed)
    assert list(control.outcomes()) == ["next"]


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
