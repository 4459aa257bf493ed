"""A job from its creation to its end, with an engine in memory; and what cancelling does."""

import gzip
from dataclasses import replace

import pytest

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from chalicelib.domain.job import AfterAction
from chalicelib.domain.lifecycle import (
    JobStatus,
    StepStatus,
    job_moves,
    step_moves,
)
from chalicelib.domain.logs import LogLine
from chalicelib.domain.values import StepRef
from chalicelib.engine import advance, job_logs, workers
from chalicelib.engine.advance import cancel
from chalicelib.engine.workers import Hello
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.builders import a_claim, an_end
from tests.fakes.house import House


def run_all(house):
    """Claim and complete until no message is left; return the steps in the order they ran."""
    ran = []
    while assignment := house.take():
        ran.append(assignment.hold.ref.step)
        house.end(assignment)
    return ran


def test_a_job_runs_in_the_order_of_its_dependencies():
    house = House("d<b,c", "a", "b<a", "c<a")
    job_id = house.job()
    assert run_all(house) == ["a", "b", "c", "d"]
    assert house.status(job_id) == "completed"


def test_a_tolerated_failure_lets_the_job_complete():
    house = House("a!", "b<a!")
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    assert run_all(house) == ["b"]
    assert house.status(job_id) == "completed"


def test_an_ended_job_leaves_nothing_to_do_and_has_its_archive():
    house = House("a")
    job_id = house.job()
    run_all(house)
    job = house.engine.jobs.get(job_id)
    assert (job.after, job.due) == (frozenset(), None)
    key = keys.log_archive_blob("shop", "ship", job_id, job.created_at)
    lines = gzip.decompress(house.engine.blobs.get(key)).decode().splitlines()
    assert lines == list(job_logs.read_log(house.engine, job_id))
    assert "Job completed" in lines[-1]


def test_the_archive_holds_what_the_steps_wrote_between_what_the_server_tells():
    house = House("a")
    job_id = house.job()
    assignment = house.take()
    house.clock.tick(1)
    line = LogLine(house.clock.now(), "stdout", "a", "hello\x85 there")
    job_logs.append_lines(house.engine, StepRef(job_id, "a"), 1, 1, [line])
    before = list(job_logs.read_log(house.engine, job_id, "a"))
    house.clock.tick(1)
    house.end(assignment)
    assert list(job_logs.read_log(house.engine, job_id, "a")) == before == [line.to_json()]
    steps = [text.split('"step":"')[1].split('"')[0] for text in _log(house, job_id)]
    assert steps == ["_server", "_server", "a", "_server", "_server"]


def _log(house, job_id):
    return list(job_logs.read_log(house.engine, job_id))


# Cancelling.


def test_cancelling_ends_what_waits_at_once():
    house = House("a", "b<a", "c")
    job_id = house.job()
    house.take()
    cancel(house.engine, job_id)
    assert house.status(job_id) == "cancelled"
    assert house.shown(job_id) == {"a": "running", "b": "cancelled", "c": "cancelled"}
    assert house.record(job_id, "c").error == "Job cancelled before the step began"


def test_a_message_that_comes_after_the_cancellation_begins_nothing():
    house = House("a")
    job_id = house.job()
    cancel(house.engine, job_id)
    assert house.take() is None
    assert house.shown(job_id) == {"a": "cancelled"}


def test_a_job_cancelled_before_it_ran_has_nothing_left_to_do():
    house = House("a")
    job_id = house.job()
    cancel(house.engine, job_id)
    job = house.engine.jobs.get(job_id)
    assert (job.after, job.due) == (frozenset(), None)


def test_the_workers_heartbeat_tells_it_what_to_stop():
    house = House("a", "b")
    first, second = house.job(), house.job()
    running = [house.claim(first, "a"), house.claim(second, "a")]
    assert house.beat(*running).cancelled == ()
    cancel(house.engine, first)
    assert house.beat(*running).cancelled == (running[0].hold.ref,)


def test_a_cancelled_job_is_archived_when_its_last_step_has_stopped():
    house = House("a", "b")
    job_id = house.job()
    first, second = house.claim(job_id, "a"), house.claim(job_id, "b")
    cancel(house.engine, job_id)
    house.end(first, error="stopped", cancelled=True)
    assert AfterAction.ARCHIVE_LOG in house.engine.jobs.get(job_id).after
    house.end(second, error="stopped", cancelled=True)
    assert house.engine.jobs.get(job_id).after == frozenset()
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}


def test_a_job_that_has_ended_cannot_be_cancelled():
    house = House("a")
    job_id = house.job()
    run_all(house)
    with pytest.raises(ConflictError):
        cancel(house.engine, job_id)
    assert house.status(job_id) == "completed"


def test_an_unknown_job_cannot_be_cancelled():
    with pytest.raises(NotFoundError):
        cancel(House("a").engine, "no-such-job")


class Restless(MemoryJobs):
    """A step is claimed right before the cancellation would halt it."""

    house = None

    def halt_step(self, ref, seen, at):
        house, self.house = self.house, None
        if house:
            assert house.claim(ref.job_id, ref.step) is None
        super().halt_step(ref, seen, at)


def test_a_claim_in_the_moment_of_the_cancellation_is_given_up():
    house = House("a", "b<a", ports={"jobs": Restless()})
    job_id = house.job()
    house.engine.jobs.house = house
    cancel(house.engine, job_id)
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


class Stubborn(MemoryJobs):
    """Nothing can be halted for now."""

    stubborn = True

    def halt_step(self, ref, seen, at):
        if self.stubborn:
            raise ConflictError("it went on")
        super().halt_step(ref, seen, at)


def test_what_could_not_be_halted_is_shown_as_it_is_until_a_later_look():
    house = House("a", "b<a", ports={"jobs": Stubborn()})
    job_id = house.job()
    cancel(house.engine, job_id)
    assert house.shown(job_id) == {"a": "ready", "b": "pending"}
    house.engine.jobs.stubborn = False
    advance.advance(house.engine, job_id)
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


def test_a_failure_between_a_cancellation_and_its_halts_skips_nothing():
    house = House("a", "b<a", ports={"jobs": Stubborn()})
    job_id = house.job()
    assignment = house.take()
    cancel(house.engine, job_id)
    house.end(assignment, error="exit code 1")
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}


class EndsFirst(MemoryJobs):
    """A step's end arrives right before its halt, and its worker is gone after that."""

    end = None

    def halt_step(self, ref, seen, at):
        end, self.end = self.end, None
        if end:
            self.end_step(end)
        super().halt_step(ref, seen, at)


def test_what_an_end_in_the_moment_of_the_cancellation_made_ready_is_halted_too():
    house = House("a", "b<a", ports={"jobs": EndsFirst()})
    job_id = house.job()
    hold = house.take().hold
    house.engine.jobs.end = an_end(a_claim(job_id, "a", lease=hold.lease))
    cancel(house.engine, job_id)
    assert house.shown(job_id) == {"a": "completed", "b": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


# Two ends of one job.


class EndedMeanwhile(MemoryJobs):
    """Another caller ends the job between the decision and the write."""

    def finish(self, job_id, end):
        other = replace(end, status=JobStatus.CANCELLED, nonce="other", after=frozenset())
        super().finish(job_id, other)
        return super().finish(job_id, end)


def test_that_another_ended_the_job_first_is_no_error_for_who_completes_a_step():
    house = House("a", ports={"jobs": EndedMeanwhile()})
    job_id = house.job()
    house.end(house.take())
    assert house.status(job_id) == "cancelled"
    assert house.shown(job_id) == {"a": "completed"}


# Sessions.


def test_a_worker_without_a_capability_is_refused():
    with pytest.raises(InvalidError, match="capability"):
        workers.register(House("a").engine, Hello(name="w", capabilities=()))


def test_a_heartbeat_of_an_unknown_session_is_refused():
    house = House("a")
    with pytest.raises(NotFoundError):
        house.beat(session="no-such-session")


class ThrottledOnce(MemoryJobs):
    """The claim cannot be tried at the first time."""

    throttled = True

    def claim_step(self, claim):
        if self.throttled:
            self.throttled = False
            raise UnavailableError("throttled")
        return super().claim_step(claim)


def test_the_message_of_a_claim_that_could_not_be_tried_comes_again():
    house = House("a", ports={"jobs": ThrottledOnce()})
    job_id = house.job()
    with pytest.raises(UnavailableError):
        house.take()
    assert house.take() is None
    house.clock.tick(31)
    assert house.take().hold.ref.job_id == job_id


# The tables of moves.


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_job_status_is_terminal_if_and_only_if_nothing_follows(status):
    assert status.is_terminal == (not job_moves(status))


@pytest.mark.parametrize("status", list(StepStatus))
def test_a_step_status_is_terminal_if_and_only_if_nothing_follows(status):
    assert status.is_terminal == (not step_moves(status))


def test_every_status_that_is_not_terminal_can_end():
    for status in JobStatus:
        assert status.is_terminal or any(s.is_terminal for s in job_moves(status))
    for status in StepStatus:
        assert status.is_terminal or any(s.is_terminal for s in step_moves(status))
