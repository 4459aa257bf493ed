"""Ending an attempt: completed, failed, tried again, cancelled; and who may not end it."""

from datetime import timedelta

import pytest

from chalicelib.domain.errors import FencedError
from chalicelib.domain.workflow import Action, ActionType, Backoff, Retry
from chalicelib.engine import advance, steps
from chalicelib.engine.chaining import Taker, complete_and_claim
from chalicelib.engine.payloads import load_payload
from chalicelib.engine.steps import MAX_ERROR_BYTES, EndedBy, Outcome
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.house import House, a_definition, a_task

TWICE = Retry(max_attempts=2, delay_s=30)


def test_a_completed_step_sends_what_it_made_ready():
    house = House("a", "b<a", "c<a")
    house.job()
    house.end(house.take())
    assert house.queued() == [("b", 1), ("c", 1)]


def test_the_last_of_two_completions_sends_the_join_once():
    house = House("a", "b", "c<a,b")
    job_id = house.job()
    first, second = house.claim(job_id, "a"), house.claim(job_id, "b")
    house.queued()
    house.end(first)
    assert house.queued() == []
    house.end(second)
    assert house.queued() == [("c", 1)]


def test_the_last_completion_ends_the_job():
    house = House("a")
    job_id = house.job()
    house.end(house.take())
    assert house.status(job_id) == "completed"
    assert house.engine.jobs.get(job_id).due is None


@pytest.mark.parametrize("output", [None, {"n": 1}, {"text": "x" * 5000}])
def test_the_output_is_kept_inline_or_as_an_object(output):
    house = House("a", "b")
    job_id = house.job()
    house.end(house.claim(job_id, "a"), output=output)
    assert load_payload(house.engine.blobs, house.record(job_id, "a").output) == output


def test_a_repeated_report_is_harmless():
    house = House("a", "b<a")
    job_id = house.job()
    assignment = house.take()
    house.end(assignment, output={"n": 1})
    house.end(assignment, output={"n": 1})
    assert house.shown(job_id) == {"a": "completed", "b": "ready"}


@pytest.mark.parametrize("pools", [set(), {"script"}])
def test_another_end_for_what_was_reported_already_is_refused(pools):
    house = House("a", "b<a", a={"retry": TWICE})
    job_id = house.job()
    taken = house.take()
    house.end(taken, error="exit code 1")
    taker = Taker(house.session, "w", pools)
    for outcome in (Outcome(output=1), Outcome(error="stopped", cancelled=True)):
        with pytest.raises(FencedError, match="reported with another end before"):
            complete_and_claim(house.engine, taken.hold, outcome, taker)
    assert house.shown(job_id) == {"a": "ready", "b": "pending"}


def test_another_end_of_an_instance_does_not_end_its_loop():
    house = House("a", a={"for_each": [1], "retry": TWICE})
    job_id = house.job()
    taken = house.take()
    house.end(taken, error="exit code 1")
    with pytest.raises(FencedError):
        house.end(taken)
    assert (house.status(job_id), house.shown(job_id)) == ("running", {"a": "running"})


def test_another_lease_is_fenced_off():
    house = House("a")
    job_id = house.job()
    assignment = house.claim(job_id, "a")
    other = steps.Hold(assignment.hold.ref, 1, "another")
    with pytest.raises(FencedError):
        steps.complete(house.engine, other, Outcome())
    assert house.shown(job_id) == {"a": "running"}


def test_a_stale_worker_cannot_end_the_attempt_after_its_own():
    house = House("a", a={"retry": TWICE})
    job_id = house.job()
    stale = house.take()
    steps.fail(house.engine, stale.hold, "Worker lost", by=EndedBy.SWEEP)
    house.clock.tick(60)
    house.claim(job_id, "a", attempt=2)
    for outcome in (Outcome(output={"late": True}), Outcome(error="late")):
        with pytest.raises(FencedError):
            steps.complete(house.engine, stale.hold, outcome)
    record = house.record(job_id, "a")
    assert (record.status, record.attempt) == ("running", 2)


def test_a_worker_does_not_take_the_sweeps_end_for_its_own():
    house = House("a")
    house.job()
    assignment = house.take()
    steps.fail(house.engine, assignment.hold, "Worker lost", by=EndedBy.SWEEP)
    with pytest.raises(FencedError):
        steps.complete(house.engine, assignment.hold, Outcome())


def test_a_failed_attempt_is_tried_again_after_the_delay():
    house = House("a", a={"retry": TWICE})
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    record = house.record(job_id, "a")
    assert (record.status, record.attempt) == ("ready", 2)
    assert record.retry_at == house.clock.now() + timedelta(seconds=30)
    assert [past.error for past in record.history] == ["exit code 1"]
    assert house.queued() == []
    house.clock.tick(30)
    assert house.queued() == [("a", 2)]


def test_the_last_attempt_fails_the_step():
    house = House("a", "b<a", a={"retry": TWICE})
    job_id = house.job()
    house.end(house.take(), error="first")
    house.clock.tick(30)
    house.end(house.take(), error="second")
    assert house.shown(job_id) == {"a": "failed", "b": "skipped"}
    assert house.record(job_id, "a").error == "second"
    assert house.status(job_id) == "failed"


def test_a_later_success_completes_the_step():
    house = House("a", a={"retry": TWICE})
    job_id = house.job()
    house.end(house.take(), error="first")
    house.clock.tick(30)
    house.end(house.take())
    assert house.status(job_id) == "completed"


def test_a_step_without_a_policy_takes_its_actions():
    action = Action(key="act", type=ActionType.SCRIPT, script="true", retry=TWICE)
    house = House(definition=a_definition(a_task("a"), actions={"act": action}))
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    assert house.shown(job_id) == {"a": "ready"}


def test_exponential_delays_double():
    policy = Retry(max_attempts=3, delay_s=10, backoff=Backoff.EXPONENTIAL)
    house = House("a", a={"retry": policy})
    job_id = house.job()
    for delay_s in (10, 20):
        house.end(house.take(), error="exit code 1")
        wait = house.record(job_id, "a").retry_at - house.clock.now()
        assert wait == timedelta(seconds=delay_s)
        house.clock.tick(delay_s)


def test_a_long_error_is_cut_at_a_whole_character():
    house = House("a")
    job_id = house.job()
    house.end(house.take(), error="ø" * 2000)
    error = house.record(job_id, "a").error
    assert len(error.encode()) <= MAX_ERROR_BYTES
    assert error.startswith("øøø")
    assert error.endswith("ø …")


def test_an_error_with_exit_code_zero_still_fails():
    house = House("a")
    job_id = house.job()
    house.end(house.take(), error="the worker says so", output={"n": 1})
    assert house.shown(job_id) == {"a": "failed"}
    assert house.record(job_id, "a").output.inline == {"n": 1}


def test_a_cancelled_jobs_step_is_not_tried_again():
    house = House("a", a={"retry": TWICE})
    job_id = house.job()
    assignment = house.take()
    advance.cancel(house.engine, job_id)
    house.end(assignment, error="exit code 143")
    assert house.shown(job_id) == {"a": "cancelled"}
    house.clock.tick(60)
    assert house.queued() == []


class CancelledWhileFailing(MemoryJobs):
    """The job is cancelled between the read of it and the write that sends the step back."""

    engine = None

    def retry_step(self, retry):
        advance.cancel(self.engine, retry.ref.job_id)
        return super().retry_step(retry)


def test_of_a_failure_and_a_cancellation_at_once_no_attempt_follows():
    house = House("a", "b<a", a={"retry": TWICE}, ports={"jobs": CancelledWhileFailing()})
    house.engine.jobs.engine = house.engine
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


def test_a_step_may_complete_after_its_job_was_cancelled_but_nothing_follows():
    house = House("a", "b<a")
    job_id = house.job()
    assignment = house.take()
    advance.cancel(house.engine, job_id)
    house.end(assignment, output={"n": 1})
    assert house.shown(job_id) == {"a": "completed", "b": "cancelled"}
    assert house.queued() == []
