"""What every job store keeps: ends and retries, and who is fenced off."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import FencedError
from chalicelib.domain.job import PastAttempt, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import Payload
from tests.fakes.builders import a_blob_ref, a_claim, a_job, a_retry, an_end
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


def test_the_lease_that_holds_a_step_ends_it(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    end = an_end(claim, output=Payload({"size": 3}))
    record = jobs.end_step(end)
    assert record == replace(
        running,
        status=StepStatus.COMPLETED,
        nonce=end.nonce,
        completed_at=end.at,
        output=Payload({"size": 3}),
    )
    assert jobs.load(job.job_id).steps["build"] == record


def test_a_failed_step_keeps_error_and_reference_to_its_output(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    ref = a_blob_ref()
    jobs.end_step(an_end(claim, StepStatus.FAILED, error="exit code 2", output=Payload(ref=ref)))
    record = jobs.load(job.job_id).steps["build"]
    assert (record.status, record.error, record.output) == (
        StepStatus.FAILED,
        "exit code 2",
        Payload(ref=ref),
    )


def test_another_lease_does_not_end_a_step(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    with pytest.raises(FencedError, match="does not hold it"):
        jobs.end_step(an_end(replace(claim, lease="another")))
    assert jobs.load(job.job_id).steps["build"] == running


def test_another_attempt_under_the_same_lease_does_not_end_a_step(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    with pytest.raises(FencedError):
        jobs.end_step(an_end(replace(claim, attempt=2)))


def test_a_stale_worker_does_not_end_the_attempt_after_its_own(jobs, job):
    stale = a_claim(job.job_id)
    jobs.claim_step(stale)
    jobs.retry_step(a_retry(stale, nonce=f"{stale.lease}/sweep"))
    second = a_claim(job.job_id, attempt=2, at=NOON + MINUTE)
    running = jobs.claim_step(second)
    for attempt in (1, 2):
        with pytest.raises(FencedError):
            jobs.end_step(an_end(replace(stale, attempt=attempt)))
    assert jobs.load(job.job_id).steps["build"] == running


def test_a_step_that_nobody_claimed_cannot_be_ended(jobs, job):
    with pytest.raises(FencedError, match="not begun"):
        jobs.end_step(an_end(a_claim(job.job_id)))
    assert jobs.load(job.job_id).steps == {}


def test_an_end_whose_reply_was_lost_counts_as_done(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    end = an_end(claim)
    assert jobs.end_step(end) == jobs.end_step(replace(end, at=end.at + MINUTE))


@pytest.mark.parametrize("status", [status for status in StepStatus if status.is_terminal])
def test_an_ended_step_never_changes(jobs, job, status):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    ended = jobs.end_step(an_end(claim, status))
    with pytest.raises(FencedError):
        jobs.end_step(an_end(claim, StepStatus.FAILED, nonce="sweep", error="late"))
    with pytest.raises(FencedError):
        jobs.retry_step(a_retry(claim, nonce="sweep"))
    assert jobs.load(job.job_id).steps["build"] == ended


def test_a_failed_attempt_goes_back_to_ready_with_its_history(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    retry = a_retry(claim, retry_at=NOON + MINUTE)
    record = jobs.retry_step(retry)
    assert record == StepRecord(
        step="build",
        status=StepStatus.READY,
        attempt=2,
        nonce=retry.nonce,
        retry_at=NOON + MINUTE,
        history=(retry.past,),
    )
    assert jobs.load(job.job_id).steps["build"] == record


def test_history_grows_in_order_up_to_ten_attempts(jobs, job):
    claim = a_claim(job.job_id)
    for attempt in range(1, 10):
        jobs.claim_step(claim)
        jobs.retry_step(a_retry(claim))
        claim = a_claim(job.job_id, attempt=attempt + 1, at=claim.at + MINUTE)
    record = jobs.claim_step(claim)
    assert [past.attempt for past in record.history] == list(range(1, 10))
    assert record.history[0] == a_retry(a_claim(job.job_id)).past
    assert record.attempt == 10


def test_a_past_attempt_without_a_start_comes_back_as_it_was(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    past = PastAttempt(attempt=1, error='"quoted" ✓\n', started_at=None, failed_at=NOON)
    assert jobs.retry_step(a_retry(claim, past=past)).history == (past,)


def test_a_retry_whose_reply_was_lost_counts_as_done_once(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    retry = a_retry(claim)
    first = jobs.retry_step(retry)
    assert jobs.retry_step(retry) == first
    assert len(first.history) == 1


def test_another_lease_or_attempt_does_not_send_a_step_back(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    with pytest.raises(FencedError):
        jobs.retry_step(a_retry(replace(claim, lease="another")))
    with pytest.raises(FencedError):
        jobs.retry_step(a_retry(replace(claim, attempt=2)))
    assert jobs.load(job.job_id).steps["build"] == running


def test_a_step_that_waits_for_its_retry_is_held_by_nobody(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    jobs.retry_step(a_retry(claim))
    with pytest.raises(FencedError, match="ready at attempt 2"):
        jobs.end_step(an_end(claim, nonce="late"))
