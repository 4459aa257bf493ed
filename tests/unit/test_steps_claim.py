"""Claiming an attempt: who gets it, what it comes with, and what goes wrong on the way."""

import pytest

from chalicelib.domain.errors import (
    NotFoundError,
    TemplateError,
    TooEarlyError,
    UnavailableError,
)
from chalicelib.domain.job import AfterAction
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.workflow import Action, ActionType, Retry
from chalicelib.engine.ports import JobEnd, Message
from chalicelib.store.memory import MemoryBlobs
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.house import House, a_definition, a_task


def test_a_claim_gives_all_that_a_worker_needs():
    house = House("a", a={"timeout_s": 30})
    job_id = house.job()
    assignment = house.take()
    assert (assignment.hold.ref.job_id, assignment.hold.ref.step) == (job_id, "a")
    assert (assignment.workspace, assignment.revision, assignment.task) == ("shop", "r1", "ship")
    assert (assignment.timeout_s, assignment.rendered.script) == (30, "true")
    assert assignment.idempotency_key == f"{job_id}/a"


def test_the_first_claim_makes_the_job_running():
    house = House("a", "b")
    job_id = house.job()
    assert house.status(job_id) == "pending"
    house.take()
    assert house.status(job_id) == "running"
    started_at = house.engine.jobs.get(job_id).started_at
    house.clock.tick(5)
    house.take()
    assert house.engine.jobs.get(job_id).started_at == started_at


def test_of_two_claims_of_one_attempt_one_gets_nothing():
    house = House("a")
    job_id = house.job()
    assert house.claim(job_id, "a") is not None
    assert house.claim(job_id, "a") is None


def test_a_claim_of_an_ended_attempt_gets_nothing():
    house = House("a", "b")
    job_id = house.job()
    house.end(house.claim(job_id, "a"))
    assert house.claim(job_id, "a") is None


def test_a_claim_in_an_ended_job_gives_the_attempt_up_again():
    house = House("a", ports={"jobs": CancelledMeanwhile()})
    job_id = house.job()
    assert house.claim(job_id, "a") is None
    assert house.shown(job_id) == {"a": "cancelled"}
    assert house.record(job_id, "a").error == "Job ended before the step began"
    assert house.engine.jobs.get(job_id).due is None


class CancelledMeanwhile(MemoryJobs):
    """The job is cancelled right after its claim, before anything else is read."""

    def claim_step(self, claim):
        record = super().claim_step(claim)
        after = frozenset({AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG})
        end = JobEnd(status=JobStatus.CANCELLED, at=claim.at, nonce="c", after=after)
        self.finish(claim.ref.job_id, end)
        return record


def test_a_retry_is_not_to_be_had_before_its_time_and_its_message_stays():
    house = House("a", a={"retry": Retry(max_attempts=2, delay_s=60)})
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    with pytest.raises(TooEarlyError):
        house.claim(job_id, "a", attempt=2)
    house.engine.queue.send("script", [(Message(house.ref(job_id, "a"), 2), 0)])
    assert house.take() is None
    house.clock.tick(60)
    assert house.take().hold.attempt == 2


def test_a_step_whose_template_fails_is_ended_as_failed_and_its_message_is_gone():
    action = Action(key="act", type=ActionType.SCRIPT, script="{{ input.missing }}")
    house = House(definition=a_definition(a_task("a", "b<a"), actions={"act": action}))
    job_id = house.job()
    with pytest.raises(TemplateError):
        house.take()
    assert house.shown(job_id) == {"a": "failed", "b": "skipped"}
    assert house.status(job_id) == "failed"
    house.clock.tick(60)
    assert house.queued() == []


class Forgetful(MemoryBlobs):
    """Nothing is found any more."""

    def get(self, key):
        raise self.error


def a_claim_without_its_input(error):
    blobs = Forgetful()
    blobs.error = error
    house = House("a", ports={"blobs": blobs})
    job_id = house.job(input={"text": "x" * 2000})
    with pytest.raises(type(error)):
        house.take()
    return house, house.record(job_id, "a")


def test_a_step_whose_input_is_gone_fails_at_once_instead_of_being_lost():
    _, record = a_claim_without_its_input(NotFoundError("gone"))
    assert (record.status, record.error) == ("failed", "The step could not begin: gone")


def test_a_step_whose_input_is_not_to_be_had_now_is_handed_back_and_its_message_stays():
    house, record = a_claim_without_its_input(UnavailableError("throttled"))
    assert (record.status, record.attempt, record.lease) == ("ready", 1, None)
    house.clock.tick(60)
    assert house.queued() == [("a", 1)]
