"""What every job store keeps: the moves of a step, and who is fenced off."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, FencedError, TooEarlyError
from chalicelib.domain.job import LoopRun, PastAttempt, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import Payload, StepRef
from tests.fakes.builders import a_begin, a_blob_ref, a_claim, a_job, a_retry, an_end
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


# claim


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


# begin


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
    assert _only_step(jobs, job) == record
    assert jobs.begin_step(begin) == record


def test_a_step_that_was_begun_is_begun_by_nobody_else(jobs, job):
    record = jobs.begin_step(a_begin(job.job_id))
    for attempt in (1, 2):
        with pytest.raises(ConflictError, match="ready at attempt 1"):
            jobs.begin_step(a_begin(job.job_id, attempt=attempt))
    assert _only_step(jobs, job) == record
    running = jobs.claim_step(a_claim(job.job_id))
    with pytest.raises(ConflictError, match="running at attempt 1"):
        jobs.begin_step(a_begin(job.job_id))
    assert _only_step(jobs, job) == running


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
    assert _only_step(jobs, job) == record


# hand back


def test_an_attempt_is_handed_back_as_if_never_claimed(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    record = jobs.hand_back(claim.ref, 1, claim.lease, "back")
    assert record == StepRecord(step="build", status=StepStatus.READY, attempt=1, nonce="back")
    assert jobs.hand_back(claim.ref, 1, claim.lease, "back") == record
    assert _only_step(jobs, job) == record
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
    assert _only_step(jobs, job).status is StepStatus.RUNNING


# suspended


def test_what_is_suspended_is_ended_by_its_lease_and_told_once(jobs, job):
    begin = a_begin(job.job_id, status=StepStatus.SUSPENDED, lease="ask", tell=True)
    suspended = jobs.begin_step(begin)
    for _ in range(2):
        jobs.told(begin.ref)
    assert _only_step(jobs, job) == replace(suspended, tell=False)
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
    ended = _only_step(jobs, job)
    assert (ended.status, ended.halted, ended.tell) == (StepStatus.CANCELLED, True, False)
    assert (ended.suspended_at, ended.completed_at) == (NOON, NOON + MINUTE)
    with pytest.raises(FencedError):
        jobs.end_step(an_end(a_claim(job.job_id, lease="ask")))


# end


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


# retry


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


# halt


def test_a_halted_attempt_runs_on_and_its_end_is_kept_as_halted(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    jobs.halt_step(claim.ref, running, NOON)
    jobs.halt_step(claim.ref, running, NOON)
    assert _only_step(jobs, job) == replace(running, halted=True)
    jobs.end_step(an_end(claim))
    ended = _only_step(jobs, job)
    assert (ended.status, ended.halted) == (StepStatus.COMPLETED, True)


def test_no_attempt_follows_a_halted_one(jobs, job):
    claim = a_claim(job.job_id)
    running = jobs.claim_step(claim)
    jobs.halt_step(claim.ref, running, NOON)
    with pytest.raises(ConflictError) as refused:
        jobs.retry_step(a_retry(claim))
    assert not isinstance(refused.value, FencedError)
    assert _only_step(jobs, job) == replace(running, halted=True)


def test_a_halted_step_that_was_never_touched_is_cancelled_and_not_to_be_had(jobs, job):
    claim = a_claim(job.job_id)
    jobs.halt_step(claim.ref, None, NOON + MINUTE)
    ended = _only_step(jobs, job)
    assert (ended.status, ended.halted, ended.attempt) == (StepStatus.CANCELLED, True, 1)
    assert (ended.completed_at, ended.started_at) == (NOON + MINUTE, None)
    with pytest.raises(ConflictError):
        jobs.claim_step(claim)


def test_a_halted_step_that_waits_for_its_retry_is_cancelled_with_its_history(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    waiting = jobs.retry_step(a_retry(claim))
    jobs.halt_step(claim.ref, waiting, NOON + MINUTE)
    ended = _only_step(jobs, job)
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
    assert _only_step(jobs, job) == ended


def test_an_ended_step_is_not_halted_though_it_was_seen_so(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    ended = jobs.end_step(an_end(claim))
    with pytest.raises(ConflictError, match="went on"):
        jobs.halt_step(claim.ref, ended, NOON)
    assert _only_step(jobs, job) == ended


def test_an_attempt_that_another_lease_runs_by_now_is_not_halted(jobs, job):
    first, second = a_claim(job.job_id), a_claim(job.job_id)
    seen = jobs.claim_step(first)
    jobs.hand_back(first.ref, 1, first.lease, "back")
    running = jobs.claim_step(second)
    with pytest.raises(ConflictError):
        jobs.halt_step(first.ref, seen, NOON)
    assert _only_step(jobs, job) == running


def test_an_end_may_say_itself_that_it_is_halted(jobs, job):
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    jobs.end_step(an_end(claim, StepStatus.CANCELLED, halted=True))
    assert _only_step(jobs, job).halted


def _only_step(jobs, job):
    [record] = jobs.load(job.job_id).steps.values()
    return record
