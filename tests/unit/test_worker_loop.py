"""The worker's life around its steps: work, slots, and the end."""

from pathlib import Path

import pytest

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


@pytest.fixture
def control():
    return FakeControl()


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
