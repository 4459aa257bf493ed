"""What every job store keeps: steps of a job that is over, which end or never begin."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, FencedError
from chalicelib.domain.lifecycle import StepStatus
from tests.contract.steps import only_step
from tests.fakes.builders import a_claim, a_job, a_retry, an_end
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


def test_a_halted_attempt_runs_on_and_its_end_is_kept_as_halted(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    jobs.halt_step(claim.ref, running, NOON)
    jobs.halt_step(claim.ref, running, NOON)
    assert only_step(jobs, job) == replace(running, halted=True)
    jobs.end_step(an_end(claim))
    ended = only_step(jobs, job)
    assert (ended.status, ended.halted) == (StepStatus.COMPLETED, True)


def test_no_attempt_follows_a_halted_one(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    jobs.halt_step(claim.ref, running, NOON)
    with pytest.raises(ConflictError) as refused:
        jobs.retry_step(a_retry(claim))
    assert not isinstance(refused.value, FencedError)
    assert only_step(jobs, job) == replace(running, halted=True)


def test_a_halted_step_that_was_never_touched_is_cancelled_and_not_to_be_had(jobs, job):
    claim = a_claim(job.job_id)
    jobs.halt_step(claim.ref, None, NOON + MINUTE)
    ended = only_step(jobs, job)
    assert (ended.status, ended.halted, ended.attempt) == (StepStatus.CANCELLED, True, 1)
    assert (ended.completed_at, ended.started_at) == (NOON + MINUTE, None)
    with pytest.raises(ConflictError):
        jobs.claim_step(claim)


def test_a_halted_step_that_waits_for_its_retry_is_cancelled_with_its_history(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    waiting = jobs.retry_step(a_retry(claim))
    jobs.halt_step(claim.ref, waiting, NOON + MINUTE)
    ended = only_step(jobs, job)
    assert (ended.status, ended.attempt, ended.retry_at) == (StepStatus.CANCELLED, 2, None)
    assert ended.history == waiting.history
    with pytest.raises(ConflictError):
        jobs.claim_step(a_claim(job.job_id, attempt=2, at=NOON + 2 * MINUTE))


def test_a_step_that_went_on_in_the_meantime_is_not_halted(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    with pytest.raises(ConflictError):
        jobs.halt_step(claim.ref, None, NOON)
    ended = jobs.end_step(an_end(claim))
    with pytest.raises(ConflictError):
        jobs.halt_step(claim.ref, running, NOON)
    assert only_step(jobs, job) == ended


def test_an_ended_step_is_not_halted_though_it_was_seen_so(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    ended = jobs.end_step(an_end(claim))
    with pytest.raises(ConflictError, match="went on"):
        jobs.halt_step(claim.ref, ended, NOON)
    assert only_step(jobs, job) == ended


def test_an_attempt_that_another_lease_runs_by_now_is_not_halted(jobs, job):
    first, second = a_claim(job.job_id), a_claim(job.job_id)
    seen = jobs.claim_step(first)
    jobs.hand_back(first.ref, 1, first.lease, "back")
    running = jobs.claim_step(second)
    with pytest.raises(ConflictError):
        jobs.halt_step(first.ref, seen, NOON)
    assert only_step(jobs, job) == running


def test_an_end_may_say_itself_that_it_is_halted(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    jobs.end_step(an_end(claim, StepStatus.CANCELLED, halted=True))
    assert only_step(jobs, job).halted
