"""Going on with the next step without asking the queue: what is kept back, and what never is."""

from dataclasses import replace

import pytest

from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.values import StepRef
from chalicelib.engine.advance import cancel
from chalicelib.engine.chaining import KeepingQueue, Kept
from chalicelib.engine.jobs import JobRequest, create
from chalicelib.engine.ports import Message
from chalicelib.engine.steps import Outcome
from chalicelib.engine.workers import Hello
from chalicelib.workspaces.publish import publish
from workers.control_direct import DirectControl

ONE, TWO, THREE = (Message(StepRef("job-1", name), 1) for name in ("one", "two", "three"))
WORKFLOW = b"""
actions:
  act: {type: script, script: ":"}
tasks:
  fan:
    flow:
      first: {action: act}
      left: {action: act, depends_on: [first]}
      right: {action: act, depends_on: [first]}
  bad:
    flow:
      first: {action: act}
      second: {action: act, depends_on: [first], input: {x: "{{ first.output.absent }}"}}
"""


class RememberingQueue:
    def __init__(self, queue=None):
        self.sent = []
        self.faults = 0
        self._queue = queue

    def send(self, pool, messages, group=None):
        if self.faults:
            self.faults -= 1
            raise UnavailableError("throttled")
        self.sent += [message for message, _ in messages]
        if self._queue:
            self._queue.send(pool, messages)

    def receive(self, pool, wait_s, limit):
        return self._queue.receive(pool, wait_s, limit)

    def delete(self, received):
        self._queue.delete(received)


class FaultyJobs:
    """The given store, whose claims fail while `faults` are left."""

    def __init__(self, jobs):
        self._jobs = jobs
        self.faults = 0

    def __getattr__(self, name):
        return getattr(self._jobs, name)

    def claim_step(self, claim):
        if self.faults:
            self.faults -= 1
            raise UnavailableError("throttled")
        return self._jobs.claim_step(claim)


@pytest.fixture
def engine():
    engine = memory_engine()
    queue = RememberingQueue(engine.queue)
    engine = replace(engine, queue=queue, jobs=FaultyJobs(engine.jobs))
    tree = WorkspaceTree({".workflows/flow.yaml": SourceFile(WORKFLOW)})
    assert publish(engine, "shop", tree).ok
    return engine


@pytest.fixture
def control(engine):
    control = DirectControl(engine)
    control.register(Hello(name="anna", capabilities=("script",)))
    return control


def begun(engine, control, task):
    """Create a job and take its first step; forget what was sent so far."""
    job_id = create(engine, JobRequest(workspace="shop", task=task)).job_id
    [offer] = control.offers("script", 0, 1)
    hold = offer().hold
    engine.queue.sent.clear()
    return job_id, hold


def test_the_first_message_that_may_go_at_once_is_kept_and_the_rest_is_sent():
    inner = RememberingQueue()
    queue = KeepingQueue(inner, ["script"])
    queue.send("gpu", [(ONE, 0)])
    queue.send("script", [(ONE, 30), (TWO, 0), (THREE, 0)])
    queue.send("script", [(ONE, 0)])
    assert queue.take_kept() == Kept("script", TWO)
    assert queue.take_kept() is None
    assert inner.sent == [ONE, ONE, THREE, ONE]


def test_of_two_steps_that_became_ready_one_comes_along_and_the_other_is_sent(engine, control):
    job_id, hold = begun(engine, control, "fan")
    following = control.complete(hold, Outcome(), go_on=True)
    assert following.hold.ref == StepRef(job_id, "left")
    assert [message.ref.step for message in engine.queue.sent] == ["right"]
    assert control.complete(following.hold, Outcome(), go_on=True) is None


def test_a_step_that_cannot_be_claimed_now_takes_the_way_through_the_queue(engine, control):
    _, hold = begun(engine, control, "fan")
    engine.jobs.faults = 1
    assert control.complete(hold, Outcome(), go_on=True) is None
    assert sorted(message.ref.step for message in engine.queue.sent) == ["left", "right"]


def test_a_step_is_handed_back_when_its_forerunner_s_report_does_not_go_through(engine, control):
    job_id, hold = begun(engine, control, "fan")
    engine.queue.faults = 1
    with pytest.raises(UnavailableError):
        control.complete(hold, Outcome(), go_on=True)
    assert engine.jobs.load(job_id).steps["left"].status == "ready"
    following = control.complete(hold, Outcome(), go_on=True)
    assert following.hold.ref == StepRef(job_id, "left")
    assert [message.ref.step for message in engine.queue.sent] == ["right"]


def test_nothing_comes_along_behind_a_step_that_the_cancellation_reached_first(engine, control):
    job_id, hold = begun(engine, control, "fan")
    cancel(engine, job_id)
    assert control.complete(hold, Outcome(), go_on=True) is None
    assert set(engine.jobs.load(job_id).steps) == {hold.ref.step}


def test_a_step_of_a_paused_job_that_came_along_is_handed_back(engine, control):
    job_id, hold = begun(engine, control, "fan")
    engine.jobs.pause(job_id, paused=True)
    assert control.complete(hold, Outcome(), go_on=True) is None
    assert engine.jobs.load(job_id).steps["left"].status == "ready"
    assert engine.queue.sent == []


def test_a_following_step_whose_templates_fail_ends_the_job(engine, control):
    job_id, hold = begun(engine, control, "bad")
    assert control.complete(hold, Outcome(output={}), go_on=True) is None
    assert engine.jobs.load(job_id).steps["second"].status is StepStatus.FAILED
    assert engine.jobs.get(job_id).status is JobStatus.FAILED
