"""What every job store keeps: who claims a step, and when."""

from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, FencedError, TooEarlyError
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from tests.fakes.builders import a_begin, a_claim, a_job, a_retry, an_end
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


def test_the_first_attempt_of_an_untouched_step_is_claimed(jobs, job):
    claim = a_claim(job.job_id)
    record = jobs.claim_step(claim)
    assert record == StepRecord(
        step="build",
        status=StepStatus.RUNNING,
        attempt=1,
        nonce=claim.lease,
        lease=claim.lease,
        session=claim.session,
        worker="worker-1",
        started_at=NOON,
    )
    assert jobs.load(job.job_id).steps == {"build": record}


def test_what_waits_for_a_worker_may_be_ended_without_a_lease_while_nobody_has_claimed_it(
    jobs, job
):
    jobs.begin_step(a_begin(job.job_id))
    failed = {"status": StepStatus.FAILED, "error": "nobody takes it"}
    with pytest.raises(ConflictError, match="ready at attempt 1"):
        jobs.begin_step(a_begin(job.job_id, lease="mine", **failed))
    record = jobs.begin_step(a_begin(job.job_id, **failed))
    assert (record.status, record.error) == (StepStatus.FAILED, "nobody takes it")
    jobs.begin_step(a_begin(job.job_id, "test"))
    jobs.claim_step(a_claim(job.job_id, "test"))
    with pytest.raises(ConflictError, match="running at attempt 1"):
        jobs.begin_step(a_begin(job.job_id, "test", **failed))


def test_a_later_attempt_of_an_untouched_step_is_not_to_be_had(jobs, job):
    with pytest.raises(ConflictError, match="has not begun"):
        jobs.claim_step(a_claim(job.job_id, attempt=2))
    assert jobs.load(job.job_id).steps == {}


def test_of_two_claims_of_one_attempt_the_second_conflicts(jobs, job):
    first = a_claim(job.job_id)
    record = jobs.claim_step(first)
    with pytest.raises(ConflictError, match="running at attempt 1") as refused:
        jobs.claim_step(a_claim(job.job_id))
    assert not isinstance(refused.value, TooEarlyError | FencedError)
    assert jobs.load(job.job_id).steps["build"] == record


def test_a_claim_whose_reply_was_lost_counts_as_done(jobs, job):
    claim = a_claim(job.job_id)
    assert jobs.claim_step(claim) == jobs.claim_step(claim)


def test_a_claim_that_was_already_lost_again_does_not_count_as_done(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    jobs.end_step(an_end(claim, StepStatus.FAILED, nonce=f"{claim.lease}/sweep"))
    with pytest.raises(ConflictError, match="failed at attempt 1"):
        jobs.claim_step(claim)


@pytest.mark.parametrize("status", [status for status in StepStatus if status.is_terminal])
def test_an_ended_step_cannot_be_claimed(jobs, job, status):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    jobs.end_step(an_end(claim, status))
    for attempt in (1, 2):
        with pytest.raises(ConflictError):
            jobs.claim_step(a_claim(job.job_id, attempt=attempt))


def test_a_retry_is_claimed_when_its_time_has_come(jobs, job):
    first = a_claim(job.job_id)
    jobs.claim_step(first)
    jobs.retry_step(a_retry(first, retry_at=NOON + MINUTE))
    second = a_claim(job.job_id, attempt=2, at=NOON + MINUTE)
    record = jobs.claim_step(second)
    assert (record.status, record.attempt, record.lease) == (
        StepStatus.RUNNING,
        2,
        second.lease,
    )
    assert record.retry_at is None
    assert record.history == (a_retry(first).past,)
    assert jobs.load(job.job_id).steps["build"] == record


def test_a_retry_is_refused_as_too_early_before_its_time(jobs, job):
    first = a_claim(job.job_id)
    jobs.claim_step(first)
    waiting = jobs.retry_step(a_retry(first, retry_at=NOON + MINUTE))
    early = a_claim(job.job_id, attempt=2, at=NOON + MINUTE - timedelta(microseconds=1))
    with pytest.raises(TooEarlyError, match="waits for its retry"):
        jobs.claim_step(early)
    assert jobs.load(job.job_id).steps["build"] == waiting


@pytest.mark.parametrize("attempt", [1, 3])
def test_only_the_attempt_that_waits_can_be_claimed(jobs, job, attempt):
    first = a_claim(job.job_id)
    jobs.claim_step(first)
    jobs.retry_step(a_retry(first))
    with pytest.raises(ConflictError, match="ready at attempt 2") as refused:
        jobs.claim_step(a_claim(job.job_id, attempt=attempt, at=NOON + MINUTE))
    assert not isinstance(refused.value, TooEarlyError)
