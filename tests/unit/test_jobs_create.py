"""Creating a job: checked, written once, its first steps sent; whatever is cut off."""

import json
from dataclasses import replace

import pytest

from chalicelib.domain.errors import (
    IdempotencyError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.workflow import Action, ActionType, InputField
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine import recovery
from chalicelib.engine.jobs import JobRequest, create
from chalicelib.engine.payloads import load_blob, load_object
from chalicelib.queue.memory import MemoryQueue
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, a_definition, a_task


def a_house(*specs, **task):
    return House(definition=a_definition(replace(a_task(*(specs or ("a",))), **task)))


def test_a_job_is_pinned_to_the_revision_and_its_roots_are_sent():
    house = a_house("a", "b", "c<a")
    job = create(house.engine, JobRequest(workspace="shop", task="ship", input={"n": 1}))
    assert (job.revision, job.status, job.source_type) == ("r1", "pending", "api")
    assert house.engine.jobs.get(job.job_id) == job
    assert load_object(house.engine.blobs, job.input) == {"n": 1}
    assert house.queued() == [("a", 1), ("b", 1)]


def test_a_job_is_due_from_birth():
    house = a_house()
    assert house.engine.jobs.get(house.job()).due is not None


def test_a_task_without_steps_is_completed_at_once():
    house = a_house(flow={})
    job_id = house.job()
    assert house.status(job_id) == "completed"
    assert house.engine.jobs.get(job_id).due is None


def test_an_unknown_workspace_or_task_is_not_found():
    house = a_house()
    for request in (
        JobRequest(workspace="nope", task="ship"),
        JobRequest(workspace="shop", task="nope"),
    ):
        with pytest.raises(NotFoundError, match="nope"):
            create(house.engine, request)


def test_a_workspace_without_a_good_revision_says_why():
    house = a_house()
    house.engine.registry.put_workspace(WorkspaceRecord(name="new", error="no tasks"), None)
    with pytest.raises(InvalidError, match="no tasks"):
        create(house.engine, JobRequest(workspace="new", task="ship"))


def test_wrong_input_makes_no_job():
    house = a_house(input={"n": InputField(type="integer", required=True)})
    with pytest.raises(InvalidError):
        house.job(input={"n": "one"})
    assert house.engine.jobs.due(house.clock.tick(minutes=5), 10) == []
    assert house.queued() == []


def test_what_is_not_executed_yet_is_refused_by_name():
    boxed = Action(key="act", type=ActionType.DOCKER, image="alpine")
    house = House(definition=a_definition(a_task("a"), actions={"act": boxed}))
    with pytest.raises(InvalidError, match="step 'a' is of type docker"):
        house.job()


def test_secret_values_stand_in_the_object_store_only():
    house = a_house(input={"token": InputField(secret=True)})
    job = house.engine.jobs.get(house.job(input={"token": "s3cret"}))
    assert job.input.inline == {"token": SECRET_MASK}
    assert json.loads(load_blob(house.engine.blobs, job.secret_input)) == {"token": "s3cret"}
    assert "s3cret" not in repr(job)


# Idempotency.


def test_the_same_key_makes_one_job():
    house = a_house()
    first = house.job(idempotency_key="k", input={"n": 1})
    assert house.job(idempotency_key="k", input={"n": 1}) == first
    assert house.queued() == [("a", 1)]


def test_the_same_key_in_another_workspace_is_another_job():
    house = a_house()
    house.engine.registry.put_workspace(WorkspaceRecord(name="other", revision="r1"), None)
    first = house.job(idempotency_key="k")
    assert house.job(idempotency_key="k", workspace="other") != first


def test_the_same_key_with_another_body_is_refused():
    house = a_house()
    house.job(idempotency_key="k", input={"n": 1})
    with pytest.raises(IdempotencyError):
        house.job(idempotency_key="k", input={"n": 2})


def test_a_refused_repeat_does_not_touch_the_first_jobs_input():
    house = a_house(input={"token": InputField(secret=True)})
    given = {"text": "x" * 2000, "token": "first"}
    job_id = house.job(idempotency_key="k", input=given)
    with pytest.raises(IdempotencyError):
        house.job(idempotency_key="k", input={"text": "y" * 2000, "token": "second"})
    job = house.engine.jobs.get(job_id)
    assert load_object(house.engine.blobs, job.input)["text"] == "x" * 2000
    assert json.loads(load_blob(house.engine.blobs, job.secret_input)) == {"token": "first"}
    assert house.take() is not None


def test_without_a_key_each_request_is_a_job():
    house = a_house()
    assert house.job() != house.job()


# What is cut off after the write.


class DeadQueue(MemoryQueue):
    dead = True

    def send(self, pool, messages, group=None):
        if self.dead:
            raise UnavailableError("the queue is throttled")
        super().send(pool, messages)


def test_a_job_whose_steps_could_not_be_sent_stands_and_the_sweep_sends_them():
    clock = FakeClock()
    house = House("a", ports={"queue": DeadQueue(clock), "clock": clock})
    job_id = house.job()
    house.engine.queue.dead = False
    clock.tick(minutes=1)
    recovery.sweep(house.engine)
    assert house.queued() == [("a", 1)]
    assert house.status(job_id) == "pending"
