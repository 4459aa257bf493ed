"""The sweep: whatever was left behind is found and set going again, or ended with a reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import NotFoundError, UnavailableError
from chalicelib.domain.job import AfterAction
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.worker import WorkerStatus
from chalicelib.domain.workflow import Retry
from chalicelib.engine import advance, recovery, workers
from chalicelib.engine.engine import Limits
from chalicelib.engine.ports import JobEnd
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.builders import a_claim, a_job, an_end
from tests.fakes.house import House, a_definition, a_task

TWICE = Retry(max_attempts=2, delay_s=5)


def swept(house, minutes=0.0):
    house.clock.tick(minutes=minutes)
    return recovery.sweep(house.engine)


def beating(house, minutes, *assignments):
    """Let time go by with a heartbeat every twenty seconds."""
    for _ in range(int(minutes * 3)):
        house.clock.tick(20)
        house.beat(*assignments)


def test_a_job_whose_messages_were_lost_is_sent_again():
    house = House("a", "b")
    house.job()
    assert house.queued() == [("a", 1), ("b", 1)]
    swept(house)
    assert house.queued() == []
    assert swept(house, minutes=1.5).looked == 1
    assert house.queued() == [("a", 1), ("b", 1)]


def test_looks_come_at_growing_distances_up_to_five_minutes():
    house = House("a")
    job_id = house.job()
    gaps = []
    for _ in range(5):
        due = house.engine.jobs.get(job_id).due
        gaps.append((due - house.clock.now()) / timedelta(minutes=1))
        house.clock.move_to(due)
        house.beat()
        recovery.sweep(house.engine)
    assert gaps == [1, 2, 4, 5, 5]


def test_a_look_before_its_time_does_not_put_off_the_one_that_is_due():
    house = House("a")
    job_id = house.job()
    before = house.engine.jobs.get(job_id)
    recovery.look(house.engine, job_id)
    assert house.engine.jobs.get(job_id) == before


def test_the_steps_of_a_silent_worker_are_lost():
    house = House("a", "b<a")
    job_id = house.job()
    house.beat(house.take())
    assert swept(house, minutes=1).silent == 0
    assert swept(house, minutes=0.1).silent == 1
    assert house.shown(job_id) == {"a": "failed", "b": "skipped"}
    assert house.record(job_id, "a").error.startswith("Worker lost: worker w ")
    assert house.engine.registry.worker(house.session).status is WorkerStatus.INACTIVE
    assert house.status(job_id) == "failed"


def test_a_step_claimed_after_the_last_heartbeat_is_lost_with_its_worker():
    house = House("a", "b")
    house.job()
    for _ in range(4):
        house.clock.tick(minutes=5)
        house.beat()
        recovery.sweep(house.engine)
    job_id = house.job()
    assert house.take().hold.ref.job_id is not None
    house.engine.jobs.postpone(job_id, house.clock.now() + timedelta(minutes=9), 9)
    result = swept(house, minutes=1.1)
    assert (result.silent, result.looked) == (1, 2)


def test_a_lost_step_with_a_retry_policy_is_tried_again():
    house = House("a", a={"retry": TWICE})
    job_id = house.job()
    house.beat(house.take())
    swept(house, minutes=1.1)
    house.clock.tick(5)
    assert set(house.queued()) == {("a", 2)}
    assert house.shown(job_id) == {"a": "ready"}


def test_a_step_of_a_living_worker_is_left_alone():
    house = House("a")
    job_id = house.job()
    assignment = house.take()
    beating(house, 10, assignment)
    swept(house)
    assert house.shown(job_id) == {"a": "running"}


def test_a_claim_whose_answer_was_lost_is_found_by_what_the_worker_does_not_list():
    house = House("a")
    job_id = house.job()
    house.take()
    beating(house, 1)
    swept(house)
    assert house.shown(job_id) == {"a": "running"}
    beating(house, 2)
    swept(house)
    assert house.shown(job_id) == {"a": "failed"}


def test_a_worker_that_does_not_say_what_it_runs_is_believed_until_the_steps_timeout():
    house = House("a", limits=Limits(default_step_timeout_s=300))
    job_id = house.job()
    house.take()
    for _ in range(5):
        house.clock.tick(minutes=1)
        workers.heartbeat(house.engine, house.session, None)
        recovery.sweep(house.engine)
        assert house.shown(job_id) == {"a": "running"}
    house.clock.tick(minutes=1)
    workers.heartbeat(house.engine, house.session, None)
    recovery.sweep(house.engine)
    assert house.record(job_id, "a").error == "Step timed out: its worker w did not end it"


def test_a_step_over_its_own_timeout_is_ended_though_its_worker_lives():
    house = House("a", a={"timeout_s": 100})
    job_id = house.job()
    assignment = house.take()
    beating(house, 2.5, assignment)
    swept(house)
    assert house.shown(job_id) == {"a": "running"}
    beating(house, 0.7, assignment)
    due = house.engine.jobs.get(job_id).due
    assert due <= house.clock.now() + timedelta(minutes=1)
    house.clock.move_to(max(due, house.clock.now()))
    house.beat(assignment)
    recovery.sweep(house.engine)
    assert house.shown(job_id) == {"a": "failed"}


def test_a_paused_worker_that_comes_back_is_active_again():
    house = House("a")
    house.job()
    swept(house, minutes=2)
    house.beat()
    record = house.engine.registry.worker(house.session)
    assert record.status is WorkerStatus.ACTIVE


def test_two_sweeps_at_once_are_harmless():
    house = House("a", a={"retry": TWICE})
    job_id = house.job()
    house.beat(house.take())
    house.clock.tick(minutes=2)
    recovery.look(house.engine, job_id)
    recovery.look(house.engine, job_id)
    recovery.sweep(house.engine)
    record = house.record(job_id, "a")
    assert (record.status, record.attempt, len(record.history)) == ("ready", 2, 1)


def test_a_job_whose_end_was_cut_off_gets_its_archive():
    house = House("a")
    job_id = house.job()
    after = frozenset({AfterAction.ARCHIVE_LOG})
    end = JobEnd(status=JobStatus.FAILED, at=house.clock.now(), nonce="n", after=after)
    house.engine.jobs.finish(job_id, end)
    swept(house, minutes=1.5)
    job = house.engine.jobs.get(job_id)
    assert (job.after, job.due) == (frozenset(), None)


def test_a_cancelled_job_ends_when_its_worker_is_lost():
    house = House("a", "b<a", a={"retry": TWICE})
    job_id = house.job()
    house.beat(house.take())
    advance.cancel(house.engine, job_id)
    swept(house, minutes=1.5)
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


class Broken(MemoryJobs):
    """One job cannot be read."""

    broken = None

    def load(self, job_id):
        if job_id == self.broken:
            raise self.error
        return super().load(job_id)


@pytest.mark.parametrize("error", [UnavailableError("throttled")])
def test_one_jobs_fault_does_not_stop_the_rest(error):
    house = House("a", ports={"jobs": Broken()})
    house.engine.jobs.broken = house.job()
    house.engine.jobs.error = error
    house.job()
    house.queued()
    result = swept(house, minutes=1.5)
    assert (result.looked, result.failed) == (1, 1)
    assert house.queued() == [("a", 1)]


class LostDefinitions:
    """The definition of one revision is gone."""

    def __init__(self):
        self.definition = a_definition(a_task("a"))

    def load(self, workspace, revision):
        if revision == "gone":
            raise NotFoundError("there is no revision gone")
        return self.definition


def test_a_job_whose_definition_is_gone_lets_the_others_have_their_turn():
    house = House("a", ports={"definitions": LostDefinitions()})
    lost = house.engine.jobs.create(a_job(workspace="shop", task="ship", revision="gone"))
    house.engine.jobs.claim_step(a_claim(lost.job_id, "a", session=house.session))
    house.job()
    house.queued()
    result = swept(house, minutes=1.5)
    assert (result.looked, result.failed) == (1, 1)
    assert house.queued() == [("a", 1)]
    assert house.engine.jobs.get(lost.job_id).due > house.clock.now()


def test_a_nomination_of_a_job_that_is_not_there_is_skipped():
    house = House("a")
    recovery.look(house.engine, "no-such-job")


# I8: every status that is not terminal has a rule that owns it.


def abandoned_pending(house):
    """A step whose dependency completed, and whose completer died before it sent anything."""
    job_id = house.job()
    assignment = house.take()
    end = an_end(a_claim(job_id, "a", lease=assignment.hold.lease))
    house.engine.jobs.end_step(end)
    return job_id, "b", "ready"


def abandoned_ready(house):
    """A step whose message was lost."""
    job_id = house.job()
    house.queued()
    return job_id, "a", "ready"


def abandoned_waiting(house):
    """A step behind one whose worker died."""
    job_id = house.job()
    house.take()
    return job_id, "b", "pending"


def abandoned_running(house):
    """A step whose worker died right after its claim."""
    job_id = house.job()
    house.take()
    return job_id, "a", "running"


ABANDONED = (abandoned_pending, abandoned_ready, abandoned_waiting, abandoned_running)
# Nothing suspends a step yet; who writes it must add its rule, and its case here.
NOT_WRITTEN = {StepStatus.SUSPENDED}


@pytest.mark.parametrize("leave", ABANDONED)
def test_what_everybody_left_comes_to_its_end_within_ten_minutes(leave):
    house = House("a", "b<a")
    job_id, step, status = leave(house)
    assert house.shown(job_id)[step] == status
    session = house.new_session()
    for _ in range(20):
        swept(house, minutes=0.5)
        house.beat(session=session)
        while assignment := house.take(session):
            house.end(assignment)
    job = house.engine.jobs.get(job_id)
    assert job.status.is_terminal
    assert job.due is None


def test_every_status_that_is_not_terminal_has_a_case_above():
    left = set()
    for leave in ABANDONED:
        house = House("a", "b<a")
        job_id, step, _ = leave(house)
        left |= {StepStatus(house.shown(job_id)[step]), JobStatus(house.status(job_id))}
    open_steps = {status for status in StepStatus if not status.is_terminal}
    open_jobs = {status for status in JobStatus if not status.is_terminal}
    assert left == (open_steps - NOT_WRITTEN) | open_jobs


def test_a_worker_that_hangs_past_its_jobs_deadline_loses_the_step():
    house = House("a", definition=a_definition(replace(a_task("a"), timeout_s=60)))
    job_id = house.job()
    hanging = house.take()
    for _ in range(12):
        house.clock.tick(30)
        house.beat(hanging)
        recovery.sweep(house.engine)
    assert house.shown(job_id) == {"a": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None
