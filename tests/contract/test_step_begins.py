"""What every job store keeps: steps that begin without a worker, wait, or are handed back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, FencedError
from chalicelib.domain.job import LoopRun, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import Payload, StepRef
from tests.contract.steps import only_step
from tests.fakes.builders import a_begin, a_claim, a_job, a_retry, an_end
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"ready_at": NOON}),
        (
            {"status": StepStatus.RUNNING, "lease": "child-1", "child": "child-1"},
            {"started_at": NOON},
        ),
        (
            {
                "status": StepStatus.RUNNING,
                "lease": "loop-1",
                "loop": LoopRun(3, Payload([1, None, {"a": "ø"}])),
            },
            {"started_at": NOON},
        ),
        (
            {"status": StepStatus.SUSPENDED, "lease": "ask-1", "tell": True},
            {"started_at": NOON, "suspended_at": NOON},
        ),
        ({"status": StepStatus.SKIPPED}, {"completed_at": NOON}),
        ({"status": StepStatus.FAILED, "error": "no such name"}, {"completed_at": NOON}),
        ({"status": StepStatus.COMPLETED, "output": Payload([])}, {"completed_at": NOON}),
    ],
)
def test_what_was_decided_of_a_step_is_kept(jobs, job, given, expected):
    begin = a_begin(job.job_id, **given)
    record = jobs.begin_step(begin)
    kept = {"status": StepStatus.READY} | given | expected
    assert record == StepRecord(step="build", attempt=1, nonce=begin.nonce, **kept)
    assert only_step(jobs, job) == record
    assert jobs.begin_step(begin) == record


def test_a_step_that_was_begun_is_begun_by_nobody_else(jobs, job):
    record = jobs.begin_step(a_begin(job.job_id))
    for attempt in (1, 2):
        with pytest.raises(ConflictError, match="ready at attempt 1"):
            jobs.begin_step(a_begin(job.job_id, attempt=attempt))
    assert only_step(jobs, job) == record
    running = jobs.claim_step(a_claim(job.job_id))
    with pytest.raises(ConflictError, match="running at attempt 1"):
        jobs.begin_step(a_begin(job.job_id))
    assert only_step(jobs, job) == running


def test_a_later_attempt_of_an_untouched_step_is_not_begun(jobs, job):
    with pytest.raises(ConflictError, match="has not begun"):
        jobs.begin_step(a_begin(job.job_id, attempt=2))
    assert jobs.load(job.job_id).steps == {}


def test_a_step_that_waits_for_its_retry_is_begun_again_with_its_history(jobs, job):
    first = a_begin(job.job_id, status=StepStatus.RUNNING, lease="child-1", child="child-1")
    jobs.begin_step(first)
    past = replace(a_retry(a_claim(job.job_id)).past, child="child-1")
    claim = a_claim(job.job_id, lease="child-1")
    waiting = jobs.retry_step(a_retry(claim, past=past))
    assert (waiting.child, waiting.lease, waiting.history) == (None, None, (past,))
    second = a_begin(job.job_id, attempt=2, status=StepStatus.RUNNING, lease="2", child="child-2")
    record = jobs.begin_step(second)
    assert (record.child, record.history, record.retry_at) == ("child-2", (past,), None)
    assert only_step(jobs, job) == record


def test_an_attempt_is_handed_back_as_if_never_claimed(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    record = jobs.hand_back(claim.ref, 1, claim.lease, "back")
    assert record == StepRecord(step="build", status=StepStatus.READY, attempt=1, nonce="back")
    assert jobs.hand_back(claim.ref, 1, claim.lease, "back") == record
    assert only_step(jobs, job) == record
    again = a_claim(job.job_id)
    assert jobs.claim_step(again).lease == again.lease


def test_only_the_lease_that_runs_an_attempt_hands_it_back(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    for attempt, lease in ((1, "another"), (2, claim.lease)):
        with pytest.raises(FencedError):
            jobs.hand_back(claim.ref, attempt, lease, "back")
    jobs.begin_step(a_begin(job.job_id, "ask", status=StepStatus.SUSPENDED, lease="ask"))
    with pytest.raises(FencedError, match="suspended"):
        jobs.hand_back(StepRef(job.job_id, "ask"), 1, "ask", "back")
    assert jobs.load(job.job_id).steps["build"] == running


def test_a_halted_attempt_is_not_handed_back(jobs, job):
    claim = a_claim(job.job_id)
    jobs.halt_step(claim.ref, jobs.claim_step(claim), NOON)
    with pytest.raises(ConflictError, match="is halted"):
        jobs.hand_back(claim.ref, 1, claim.lease, "back")
    assert only_step(jobs, job).status is StepStatus.RUNNING


def test_what_is_suspended_is_ended_by_its_lease_and_told_once(jobs, job):
    begin = a_begin(job.job_id, status=StepStatus.SUSPENDED, lease="ask", tell=True)
    suspended = jobs.begin_step(begin)
    for _ in range(2):
        jobs.told(begin.ref)
    assert only_step(jobs, job) == replace(suspended, tell=False)
    with pytest.raises(ConflictError, match="suspended at attempt 1"):
        jobs.claim_step(a_claim(job.job_id))
    claim = a_claim(job.job_id, lease="ask")
    with pytest.raises(FencedError):
        jobs.end_step(an_end(replace(claim, lease="another")))
    ended = jobs.end_step(an_end(claim, output=Payload({"approved": True})))
    assert (ended.status, ended.suspended_at) == (StepStatus.COMPLETED, NOON)


def test_nobody_is_told_of_a_step_that_is_not_there(jobs, job):
    jobs.told(StepRef(job.job_id, "never"))
    assert jobs.load(job.job_id).steps == {}


def test_a_halted_step_that_is_suspended_is_cancelled_and_keeps_its_times(jobs, job):
    begin = a_begin(job.job_id, status=StepStatus.SUSPENDED, lease="ask", tell=True)
    suspended = jobs.begin_step(begin)
    jobs.halt_step(begin.ref, suspended, NOON + MINUTE)
    jobs.halt_step(begin.ref, suspended, NOON + MINUTE)
    ended = only_step(jobs, job)
    assert (ended.status, ended.halted, ended.tell) == (StepStatus.CANCELLED, True, False)
    assert (ended.suspended_at, ended.completed_at) == (NOON, NOON + MINUTE)
    with pytest.raises(FencedError):
        jobs.end_step(an_end(a_claim(job.job_id, lease="ask")))
