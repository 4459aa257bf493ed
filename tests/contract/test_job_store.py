"""What every job store keeps: how a job is made, ended and found when it is due."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import (
    ConflictError,
    NotFoundError,
)
from chalicelib.domain.job import AfterAction, JobState, Note, Parent, Slot
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.values import NO_PAYLOAD, Payload, StepRef
from chalicelib.domain.workflow import OnLimit, Priority
from chalicelib.store.claims import MOST_RERUNS
from tests.fakes.builders import a_blob_ref, a_claim, a_job, a_job_end
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)
BOTH = frozenset({AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG})


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


def a_full_job(**given):
    return a_job(
        status=JobStatus.RUNNING,
        source_type=SourceType.WEBHOOK,
        source_id="hook-1",
        started_at=NOON + timedelta(microseconds=1),
        input=Payload(ref=a_blob_ref()),
        secret_input=a_blob_ref(),
        request_hash="ab" * 32,
        looks=3,
        after=frozenset(AfterAction),
        start_at=NOON + MINUTE,
        deadline=NOON + 9 * MINUTE,
        priority=Priority.HIGH,
        parent=Parent(StepRef("parent", "call[3]"), 2),
        depth=4,
        from_hook=True,
        slots=(Slot("task/demo/build", 3), Slot("odd #key, [x]", 1, OnLimit.CANCEL_PREVIOUS)),
        admitted=True,
        paused=True,
        killed=True,
        reason="Job timed out after 480s",
        retry_of="first",
        retry_job="next",
        retry_attempt=2,
        source_job="source",
        restart_from="build",
        seed=a_blob_ref(),
        is_seeded=True,
        reruns=frozenset({"rerun-1", "rerun-2"}),
        pins=(("other", "a1"), ("shop", "b2")),
        watched_until=NOON + MINUTE,
        **given,
    )


# create, get, load


def test_a_new_job_is_kept_with_all_that_it_was_given(jobs):
    job = a_full_job(completed_at=NOON + MINUTE)
    assert jobs.create(job) == job
    assert jobs.get(job.job_id) == job
    assert jobs.load(job.job_id) == JobState(job, {})


def test_what_a_job_does_not_have_is_absent_after_reading_too(jobs):
    job = a_job(input=NO_PAYLOAD, due=None, nonce="")
    jobs.create(job)
    assert jobs.get(job.job_id) == job


@pytest.mark.parametrize(
    "value",
    [None, {}, [], 0, "", False, 1.5, 10**30, "Strøm ✓ 😀\x00", {"a": [None, {"b": 1e-300}]}],
)
def test_payloads_come_back_as_they_were(jobs, value):
    job = jobs.create(a_job(input=Payload(value)))
    assert jobs.get(job.job_id).input == Payload(value)


def test_creating_a_job_again_returns_the_one_that_stands_there(jobs, job):
    assert jobs.create(replace(job, task="other", nonce="another")) == job
    assert jobs.get(job.job_id) == job


def test_a_job_that_was_never_made_is_not_found(jobs):
    with pytest.raises(NotFoundError, match="no job nope"):
        jobs.get("nope")
    with pytest.raises(NotFoundError, match="no job nope"):
        jobs.load("nope")


def test_loading_some_steps_returns_meta_and_those_that_were_touched(jobs, job):
    for step in ("a", "b"):
        jobs.claim_step(a_claim(job.job_id, step))
    whole = jobs.load(job.job_id)
    part = jobs.load_steps(job.job_id, ("b", "never"))
    assert part == JobState(whole.job, {"b": whole.steps["b"]})
    assert jobs.load_steps(job.job_id, ()) == JobState(whole.job, {})
    with pytest.raises(NotFoundError):
        jobs.load_steps("nope", ("a",))


def test_loading_returns_every_touched_step_and_no_other_jobs(jobs, job):
    other = jobs.create(a_job())
    steps = [f"step-{number}" for number in range(30)]
    for step in steps:
        jobs.claim_step(a_claim(job.job_id, step))
    jobs.claim_step(a_claim(other.job_id, "elsewhere"))
    state = jobs.load(job.job_id)
    assert state.job == job
    assert sorted(state.steps) == sorted(steps)
    assert all(name == record.step for name, record in state.steps.items())


def test_a_state_that_was_read_does_not_change_with_the_store(jobs, job):
    before = jobs.load(job.job_id)
    jobs.claim_step(a_claim(job.job_id))
    assert before.steps == {}


# start, finish


def test_a_pending_job_starts(jobs, job):
    jobs.start(job.job_id, NOON + MINUTE)
    expected = replace(job, status=JobStatus.RUNNING, started_at=NOON + MINUTE)
    assert jobs.get(job.job_id) == expected


def test_starting_leaves_a_running_and_an_absent_job_alone(jobs, job):
    jobs.start(job.job_id, NOON)
    jobs.start(job.job_id, NOON + MINUTE)
    jobs.start("nope", NOON)
    assert jobs.get(job.job_id).started_at == NOON
    with pytest.raises(NotFoundError):
        jobs.get("nope")


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_job_ends_and_stays_due_for_what_its_end_leaves(jobs, job, status):
    ended = jobs.finish(job.job_id, a_job_end(status, at=NOON + MINUTE, nonce="mine", after=BOTH))
    assert ended == replace(
        job, status=status, completed_at=NOON + MINUTE, nonce="mine", after=BOTH
    )
    assert jobs.get(job.job_id) == ended


def test_a_running_job_ends(jobs, job):
    jobs.start(job.job_id, NOON)
    ended = jobs.finish(job.job_id, a_job_end(JobStatus.COMPLETED, at=NOON + MINUTE, nonce="mine"))
    assert (ended.status, ended.started_at, ended.due) == (JobStatus.COMPLETED, NOON, job.due)


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_terminal])
def test_an_ended_job_never_changes(jobs, status):
    job = jobs.create(a_job(status=status, completed_at=NOON, nonce="first"))
    with pytest.raises(ConflictError, match=f"has ended already: it is {status}"):
        jobs.finish(job.job_id, a_job_end(JobStatus.FAILED, at=NOON + MINUTE))
    jobs.start(job.job_id, NOON + MINUTE)
    assert jobs.get(job.job_id) == job


def test_of_two_ends_the_second_conflicts(jobs, job):
    first = jobs.finish(job.job_id, a_job_end(JobStatus.CANCELLED, nonce="mine", after=BOTH))
    with pytest.raises(ConflictError):
        jobs.finish(job.job_id, a_job_end(JobStatus.COMPLETED, nonce="other"))
    assert jobs.get(job.job_id) == first


def test_an_end_of_a_job_whose_reply_was_lost_counts_as_done(jobs, job):
    ended = jobs.finish(job.job_id, a_job_end(JobStatus.FAILED, nonce="mine", after=BOTH))
    again = jobs.finish(
        job.job_id, a_job_end(JobStatus.FAILED, at=NOON + MINUTE, nonce="mine", after=BOTH)
    )
    assert again == ended


def test_a_job_that_was_never_made_cannot_be_ended(jobs):
    with pytest.raises(NotFoundError):
        jobs.finish("nope", a_job_end(JobStatus.FAILED, nonce="mine", after=BOTH))
    with pytest.raises(NotFoundError):
        jobs.get("nope")


def test_an_end_says_why_and_what_follows_it(jobs, job):
    end = a_job_end(JobStatus.CANCELLED, reason="too long ✓", retry_job="next", killed=True)
    ended = jobs.finish(job.job_id, end)
    assert (ended.reason, ended.retry_job, ended.killed) == ("too long ✓", "next", True)
    assert jobs.get(job.job_id) == ended


# kill, admit, pause


def test_only_a_cancelled_job_is_killed(jobs, job):
    jobs.kill(job.job_id)
    jobs.kill("nope")
    assert jobs.get(job.job_id) == job
    ended = jobs.finish(job.job_id, a_job_end(JobStatus.CANCELLED))
    jobs.kill(job.job_id)
    jobs.kill(job.job_id)
    assert jobs.get(job.job_id) == replace(ended, killed=True)


def test_a_job_is_admitted_once_it_has_its_slots_unless_it_has_ended(jobs):
    job, ended = (jobs.create(a_job(slots=(Slot("key", 1),))) for _ in range(2))
    jobs.admit(job.job_id, NOON)
    jobs.admit(job.job_id, NOON)
    assert jobs.get(job.job_id) == replace(job, admitted=True)
    jobs.finish(ended.job_id, a_job_end())
    jobs.admit(ended.job_id, NOON)
    jobs.admit("nope", NOON)
    assert not jobs.get(ended.job_id).admitted
    with pytest.raises(NotFoundError):
        jobs.get("nope")


def test_a_job_is_paused_and_goes_on_and_a_repeat_changes_nothing(jobs, job):
    for paused in (True, True, False, False):
        assert jobs.pause(job.job_id, paused=paused) == replace(job, paused=paused)
        assert jobs.get(job.job_id).paused is paused


def test_an_ended_job_is_not_paused(jobs, job):
    ended = jobs.finish(job.job_id, a_job_end())
    with pytest.raises(ConflictError, match="has ended already: it is completed"):
        jobs.pause(job.job_id, paused=True)
    with pytest.raises(NotFoundError):
        jobs.pause("nope", paused=True)
    assert jobs.get(job.job_id) == ended


# what is noted on a job


def test_the_first_hundred_reruns_are_kept(jobs, job):
    for number in (*range(MOST_RERUNS + 2), 0):
        jobs.add_rerun(job.job_id, f"rerun-{number}")
    expected = frozenset(f"rerun-{number}" for number in range(MOST_RERUNS))
    assert jobs.get(job.job_id) == replace(job, reruns=expected)
    with pytest.raises(NotFoundError):
        jobs.add_rerun("nope", "rerun")


def test_a_note_is_kept_once_and_notes_are_in_the_order_of_their_times(jobs, job):
    late, early = Note("a#b/c", NOON + MINUTE, "the second ✓"), Note("z", NOON, "the first")
    for note in (late, early, replace(late, text="another", at=NOON - MINUTE)):
        jobs.tell(job.job_id, note)
    assert jobs.load(job.job_id).notes == (early, late)


# after the end


@pytest.mark.parametrize("order", [sorted(BOTH), sorted(BOTH, reverse=True)])
def test_the_job_is_due_until_the_last_after_action_is_done(jobs, job, order):
    first, last = order
    jobs.finish(job.job_id, a_job_end(JobStatus.CANCELLED, nonce="mine", after=BOTH))
    jobs.after_done(job.job_id, first)
    assert jobs.get(job.job_id).after == {last}
    assert jobs.get(job.job_id).due == job.due
    jobs.after_done(job.job_id, last)
    assert (jobs.get(job.job_id).after, jobs.get(job.job_id).due) == (frozenset(), None)
    assert jobs.due(NOON + 60 * MINUTE, 10) == []


def test_an_after_action_may_be_done_again(jobs, job):
    jobs.finish(job.job_id, a_job_end(JobStatus.CANCELLED, nonce="mine", after=BOTH))
    for action in (AfterAction.STOP_STEPS, AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG):
        jobs.after_done(job.job_id, action)
    ended = jobs.get(job.job_id)
    jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG)
    assert jobs.get(job.job_id) == ended
    assert ended.status is JobStatus.CANCELLED


def test_an_after_action_that_is_not_left_takes_no_due_away(jobs, job):
    jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG)
    assert jobs.get(job.job_id) == job


def test_an_after_action_of_an_absent_job_is_not_found(jobs):
    with pytest.raises(NotFoundError):
        jobs.after_done("nope", AfterAction.ARCHIVE_LOG)


# due


def test_a_job_is_postponed_and_its_looks_are_counted(jobs, job):
    jobs.postpone(job.job_id, NOON + 5 * MINUTE, 2)
    assert jobs.get(job.job_id) == replace(job, due=NOON + 5 * MINUTE, looks=2)
    assert jobs.due(NOON + 4 * MINUTE, 10) == []
    assert jobs.due(NOON + 5 * MINUTE, 10) == [job.job_id]


def test_a_job_that_is_done_is_not_made_due_again(jobs, job):
    jobs.finish(job.job_id, a_job_end(after={AfterAction.ARCHIVE_LOG}))
    jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG)
    ended = jobs.get(job.job_id)
    jobs.postpone(job.job_id, NOON + MINUTE, 1)
    jobs.postpone("nope", NOON + MINUTE, 1)
    assert jobs.get(job.job_id) == ended
    assert jobs.due(NOON + 60 * MINUTE, 10) == []


def test_due_jobs_come_oldest_first_up_to_the_limit(jobs):
    made = [jobs.create(a_job(due=NOON + number * MINUTE)) for number in (5, 1, 4, 2, 3, 9)]
    jobs.create(a_job(due=None))
    oldest_first = [job.job_id for job in sorted(made, key=lambda job: job.due)]
    assert jobs.due(NOON + 5 * MINUTE, 10) == oldest_first[:5]
    assert jobs.due(NOON + 5 * MINUTE, 2) == oldest_first[:2]
    assert jobs.due(NOON + MINUTE - timedelta(microseconds=1), 10) == []


def test_an_ended_job_stays_nominated_until_its_after_actions_are_done(jobs, job):
    jobs.finish(job.job_id, a_job_end(after={AfterAction.ARCHIVE_LOG}))
    assert jobs.due(NOON + MINUTE, 10) == [job.job_id]


# watched live


def test_a_job_is_watched_until_the_latest_time_that_was_noted(jobs, job):
    for minutes, stands in ((3, 3), (3, 3), (5, 5), (4, 5)):
        jobs.watch(job.job_id, NOON + minutes * MINUTE)
        assert jobs.get(job.job_id) == replace(job, watched_until=NOON + stands * MINUTE)
    watched = jobs.get(job.job_id)
    assert watched.is_watched(NOON + 5 * MINUTE - timedelta(microseconds=1))
    assert not watched.is_watched(NOON + 5 * MINUTE)
    assert not job.is_watched(NOON)
    assert jobs.load(job.job_id).job == watched


def test_that_a_job_is_watched_is_taken_back_unless_another_noted_more(jobs, job):
    jobs.unwatch(job.job_id, NOON + MINUTE)
    jobs.watch(job.job_id, NOON + MINUTE)
    jobs.watch(job.job_id, NOON + 2 * MINUTE)
    jobs.unwatch(job.job_id, NOON + MINUTE)
    assert jobs.get(job.job_id) == replace(job, watched_until=NOON + 2 * MINUTE)
    for _ in range(2):
        jobs.unwatch(job.job_id, NOON + 2 * MINUTE)
        assert jobs.get(job.job_id) == job


def test_a_pulse_changes_nothing_else_and_a_later_one_takes_its_place(jobs, job):
    for seconds in (1, 2, 2):
        at = NOON + timedelta(seconds=seconds)
        jobs.pulse(job.job_id, at)
        assert jobs.get(job.job_id) == replace(job, pulse=at)


def test_of_a_job_that_is_gone_nothing_is_kept_by_those_who_watch(jobs):
    with pytest.raises(NotFoundError):
        jobs.watch("nope", NOON + MINUTE)
    jobs.unwatch("nope", NOON + MINUTE)
    jobs.pulse("nope", NOON)
    with pytest.raises(NotFoundError):
        jobs.get("nope")


def test_a_job_that_ended_can_be_watched(jobs, job):
    ended = jobs.finish(job.job_id, a_job_end(nonce="mine"))
    jobs.watch(job.job_id, NOON + MINUTE)
    jobs.pulse(job.job_id, NOON + MINUTE)
    wanted = replace(ended, watched_until=NOON + MINUTE, pulse=NOON + MINUTE)
    assert jobs.get(job.job_id) == wanted
