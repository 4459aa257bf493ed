"""What a worker may rely on, however it reaches the engine: ends, and what comes with them."""

import pytest

from chalicelib.domain.errors import FencedError
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.logs import LogLine
from chalicelib.domain.values import StepRef
from chalicelib.engine.advance import cancel
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.payloads import load_payload
from chalicelib.engine.steps import Hold, Outcome
from tests.contract.controls import a_job, record, taken
from tests.fakes.clock import NOON
from workers.control_http import HttpControl


def test_an_end_is_accepted_and_may_be_told_again(engine, control):
    job_id = a_job(engine)
    hold = taken(control).hold
    for _ in range(2):
        control.complete(hold, Outcome(output={"n": [1, None]}))
    held = record(engine, job_id)
    assert held.status is StepStatus.COMPLETED
    assert load_payload(engine.blobs, held.output) == {"n": [1, None]}
    assert engine.jobs.get(job_id).status is JobStatus.COMPLETED


def test_an_end_without_output_has_none(engine, control):
    job_id = a_job(engine)
    control.complete(taken(control).hold, Outcome())
    held = record(engine, job_id)
    assert (held.status, load_payload(engine.blobs, held.output)) == (StepStatus.COMPLETED, None)


def test_a_failure_is_told_with_its_reason(engine, control):
    job_id = a_job(engine)
    control.complete(taken(control).hold, Outcome(error="Exit code: 3", output=1))
    held = record(engine, job_id)
    assert (held.status, held.error) == (StepStatus.FAILED, "Exit code: 3")
    assert engine.jobs.get(job_id).status is JobStatus.FAILED


def test_a_cancelled_step_ends_as_cancelled(engine, control):
    job_id = a_job(engine)
    hold = taken(control).hold
    cancel(engine, job_id)
    control.complete(hold, Outcome(error="Cancelled", cancelled=True))
    assert record(engine, job_id).status is StepStatus.CANCELLED


@pytest.mark.parametrize("changed", ["lease", "attempt"])
def test_an_end_of_somebody_else_s_attempt_is_fenced_off(engine, control, changed):
    job_id = a_job(engine)
    hold = taken(control).hold
    other = Hold(hold.ref, 2, hold.lease) if changed == "attempt" else Hold(hold.ref, 1, "stale")
    with pytest.raises(FencedError):
        control.complete(other, Outcome())
    assert record(engine, job_id).status is StepStatus.RUNNING


def test_with_leave_to_go_on_the_next_step_comes_with_the_end_of_the_one_before(engine, control):
    job_id = a_job(engine, "two")
    following = control.complete(taken(control).hold, Outcome(output={"word": "b"}), go_on=True)
    assert (following.hold.ref.step, following.rendered.script) == ("second", "echo b")
    held = record(engine, job_id, "second")
    assert (held.session, held.lease) == (control.session, following.hold.lease)
    assert taken(control) is None
    assert control.complete(following.hold, Outcome(), go_on=True) is None
    assert engine.jobs.get(job_id).status is JobStatus.COMPLETED


def test_a_next_step_whose_templates_fail_does_not_come_and_has_failed(engine, control):
    job_id = a_job(engine, "two")
    assert control.complete(taken(control).hold, Outcome(output={}), go_on=True) is None
    assert record(engine, job_id, "second").status is StepStatus.FAILED
    assert engine.jobs.get(job_id).status is JobStatus.FAILED


def test_a_session_that_is_not_known_reports_and_gets_no_next_step(engine, control):
    job_id = a_job(engine, "two")
    hold = taken(control).hold
    control._session = "01a00000-0000-7000-8000-000000000000"
    if isinstance(control, HttpControl):
        assert control.complete(hold, Outcome(output={"word": "b"}), go_on=True) is None
        assert record(engine, job_id).status is StepStatus.COMPLETED


def test_instances_of_a_loop_are_claimed_logged_stopped_and_reported(engine, control):
    job_id = a_job(engine, "each")
    got = taken(control)
    assert (got.hold.ref, got.rendered.script) == (StepRef(job_id, "first[0]"), "echo a")
    control.append(got.hold, 1, [LogLine(NOON, "stdout", "first[0]", "one")])
    assert [*read_log(engine, job_id, "first[0]")] == [
        LogLine(NOON, "stdout", "first[0]", "one").to_json()
    ]
    control.heartbeat([got.hold.ref])
    got = control.complete(got.hold, Outcome(output=1), go_on=True)
    assert (got.hold.ref.step, got.rendered.script) == ("first[1]", "echo b")
    cancel(engine, job_id)
    assert control.orders([got.hold.ref]).cancelled == (got.hold.ref,)
    control.complete(got.hold, Outcome(error="Cancelled", cancelled=True), go_on=True)
    found = engine.jobs.load_steps(job_id, ["first[0]", "first[1]"]).steps
    assert [one.status for one in found.values()] == [StepStatus.COMPLETED, StepStatus.CANCELLED]


def test_without_leave_to_go_on_nothing_comes_with_an_end(engine, control):
    a_job(engine, "two")
    assert control.complete(taken(control).hold, Outcome(output={"word": "b"})) is None
    assert taken(control).hold.ref.step == "second"
