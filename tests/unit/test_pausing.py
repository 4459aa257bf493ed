"""Pause and resume: what runs goes on, nothing new begins, and all of it goes on afterwards."""

import pytest

from chalicelib.domain.errors import ConflictError, UnavailableError
from chalicelib.domain.workflow import Retry
from chalicelib.engine import advance, pausing, recovery
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.flows import a_house, work
from tests.fakes.house import House

TWICE = Retry(max_attempts=2, delay_s=5)
SUB = """
actions:
  tidy: { type: script, script: "true" }
  call: { type: task, task: middle }
  deep: { type: task, task: bottom }
tasks:
  top: { flow: { sub: { action: call, LOOP } } }
  middle: { flow: { before: { action: tidy }, down: { action: deep, depends_on: [before] } } }
  bottom: { flow: { last: { action: tidy } } }
"""


def ran(house):
    return [step for _, step in work(house)]


def test_what_runs_goes_on_and_nothing_new_begins_until_the_job_is_resumed():
    house = House("a", "b<a")
    job_id = house.job()
    at_work = house.take()
    pausing.pause(house.engine, job_id)
    house.end(at_work)
    assert house.shown(job_id) == {"a": "completed", "b": "ready"}
    assert ran(house) == []
    pausing.resume(house.engine, job_id)
    assert ran(house) == ["b"]
    assert house.status(job_id) == "completed"


def test_a_step_that_was_sent_before_the_pause_is_handed_back_and_sent_again():
    house = House("a")
    job_id = house.job()
    pausing.pause(house.engine, job_id)
    assert house.take() is None
    assert house.queued() == []
    assert house.shown(job_id) == {"a": "ready"}
    pausing.resume(house.engine, job_id)
    assert ran(house) == ["a"]


def test_the_sweep_begins_nothing_in_a_paused_job():
    house = House("a", "b<a")
    job_id = house.job()
    pausing.pause(house.engine, job_id)
    house.queued()
    recovery.look(house.engine, job_id)
    assert house.queued() == []


def test_a_job_whose_last_step_ends_while_it_is_paused_ends():
    house = House("a")
    job_id = house.job()
    at_work = house.take()
    pausing.pause(house.engine, job_id)
    house.end(at_work)
    assert house.status(job_id) == "completed"


def test_a_retry_waits_for_the_job_to_be_resumed():
    house = House("a", a={"retry": TWICE})
    job_id = house.job()
    at_work = house.take()
    pausing.pause(house.engine, job_id)
    house.end(at_work, error="no")
    house.clock.tick(30)
    assert house.take() is None
    pausing.resume(house.engine, job_id)
    assert house.take().hold.attempt == 2


def test_a_loop_begins_no_further_instance_while_its_job_is_paused():
    house = House("a", a={"for_each": [0, 1, 2], "max_parallel": 1})
    job_id = house.job()
    at_work = house.take()
    pausing.pause(house.engine, job_id)
    house.end(at_work)
    assert ran(house) == []
    pausing.resume(house.engine, job_id)
    assert ran(house) == ["a[1]", "a[2]"]
    assert house.status(job_id) == "completed"


def test_pausing_and_resuming_twice_is_no_error():
    house = House("a")
    job_id = house.job()
    for _ in range(2):
        pausing.pause(house.engine, job_id)
    assert house.engine.jobs.get(job_id).paused
    for _ in range(2):
        pausing.resume(house.engine, job_id)
    assert not house.engine.jobs.get(job_id).paused


@pytest.mark.parametrize("change", [pausing.pause, pausing.resume])
def test_a_job_that_has_ended_is_not_paused_or_resumed(change):
    house = House("a")
    job_id = house.job()
    advance.cancel(house.engine, job_id)
    with pytest.raises(ConflictError):
        change(house.engine, job_id)


def nested(loop=""):
    return a_house(SUB.replace("LOOP", loop))


def child_of(house, job_id, step):
    return house.record(job_id, step).child


def paused(house, *jobs):
    return [house.engine.jobs.get(job).paused for job in jobs]


def test_sub_jobs_are_paused_with_their_job_and_resumed_with_it_at_any_depth():
    house = nested()
    top = house.job()
    middle = child_of(house, top, "sub")
    house.end(house.take())
    bottom = child_of(house, middle, "down")
    pausing.pause(house.engine, top)
    assert paused(house, top, middle, bottom) == [True, True, True]
    assert ran(house) == []
    pausing.resume(house.engine, top)
    assert paused(house, top, middle, bottom) == [False, False, False]
    assert ran(house) == ["last"]
    assert house.status(top) == "completed"


def test_the_sub_jobs_of_a_loop_are_paused_too():
    house = nested("for_each: [0, 1]")
    top = house.job()
    pausing.pause(house.engine, top)
    assert ran(house) == []
    pausing.resume(house.engine, top)
    assert sorted(ran(house)) == ["before", "before", "last", "last"]


class PausedMeanwhile(MemoryJobs):
    """A store where a job is paused (with `resumes`: and goes on) while its sub-job is made."""

    resumes = False

    def create(self, job):
        if job.parent is not None and job.depth == 1:
            self.pause(job.parent.ref.job_id, paused=True)
        return super().create(job)

    def pause(self, job_id, *, paused):
        found = super().pause(job_id, paused=paused)
        if self.resumes and paused and found.depth == 1:
            super().pause(found.parent.ref.job_id, paused=False)
        return found


@pytest.mark.parametrize("resumes", [False, True])
def test_a_sub_job_that_is_made_while_its_job_is_paused_stands_as_its_job_does(resumes):
    jobs = PausedMeanwhile()
    jobs.resumes = resumes
    house = a_house(SUB.replace("LOOP", ""), ports={"jobs": jobs})
    top = house.job()
    middle = child_of(house, top, "sub")
    assert paused(house, top, middle) == [not resumes, not resumes]
    pausing.resume(house.engine, top)
    assert ran(house) == ["before", "last"]


class NoChildren(MemoryJobs):
    """A store that takes no sub-job while `is_down`."""

    is_down = True

    def create(self, job):
        if job.parent is not None and self.is_down:
            raise UnavailableError("create does not answer")
        return super().create(job)


def test_a_job_whose_sub_job_is_still_to_be_made_can_be_paused_and_resumed():
    jobs = NoChildren()
    house = a_house(SUB.replace("LOOP", ""), ports={"jobs": jobs})
    top = house.job()
    pausing.pause(house.engine, top)
    pausing.resume(house.engine, top)
    jobs.is_down = False
    recovery.look(house.engine, top)
    assert ran(house) == ["before", "last"]


class CutOff(MemoryJobs):
    """A store that does not resume the job named by `refuses`."""

    refuses = None

    def pause(self, job_id, *, paused):
        if job_id == self.refuses and not paused:
            self.refuses = None
            raise UnavailableError("the table did not answer")
        return super().pause(job_id, paused=paused)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_resume_that_was_cut_off_leaves_the_job_paused_and_a_repeat_does_the_rest(which):
    jobs = CutOff()
    house = a_house(SUB.replace("LOOP", ""), ports={"jobs": jobs})
    top = house.job()
    middle = child_of(house, top, "sub")
    house.end(house.take())
    family = (top, middle, child_of(house, middle, "down"))
    pausing.pause(house.engine, top)
    house.queued()
    jobs.refuses = family[which]
    with pytest.raises(UnavailableError):
        pausing.resume(house.engine, top)
    assert house.engine.jobs.get(top).paused
    pausing.resume(house.engine, top)
    assert paused(house, *family) == [False, False, False]
    assert ran(house) == ["last"]
