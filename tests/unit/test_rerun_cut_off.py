"""Re-runs that were cut off or cancelled before all was taken over."""

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.engine import advance, recovery, rerun_records
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.house import House
from tests.fakes.reruns import FAILED, again, ended, ran


class ForgetfulJobs(MemoryJobs):
    """A store that does not answer to these calls, once each."""

    def __init__(self):
        super().__init__()
        self.breaks = []

    def _check(self, name):
        if name in self.breaks:
            self.breaks.remove(name)
            raise UnavailableError(f"{name} does not answer")

    def add_rerun(self, job_id, rerun):
        self._check("add_rerun")
        super().add_rerun(job_id, rerun)

    def seed(self, job_id, records):
        self._check("before seed")
        super()._take_over(job_id, records)
        self._check("in seed")
        super().seed(job_id, records)


@pytest.mark.parametrize("cut", ["add_rerun", "before seed", "in seed"])
def test_a_re_run_that_was_cut_off_begins_nothing_before_all_is_taken_over(cut):
    jobs = ForgetfulJobs()
    house = House("a", "b", "c<a", ports={"jobs": jobs})
    old = ended(house, "b")
    jobs.breaks.append(cut)
    new = again(house, old, FAILED)
    assert house.queued() == []
    recovery.look(house.engine, new)
    assert ran(house) == ["b"]
    assert jobs.get(old).reruns == {new}
    assert house.status(new) == "completed"


def cancelled_before_it_was_seeded(house, jobs, old):
    """Return a re-run that was cancelled so, and its state as one saw it who is to seed it."""
    jobs.breaks.append("add_rerun")
    new = again(house, old, FAILED)
    seen = jobs.load(new)
    assert not seen.job.is_seeded
    advance.cancel(house.engine, new)
    return new, seen


def test_who_seeds_a_cancelled_re_run_late_changes_nothing_of_it():
    jobs = ForgetfulJobs()
    house = House("a", "b<a", "c<b", "l", l={"for_each": [0, 1]}, ports={"jobs": jobs})
    old = ended(house, "c", "l[1]")
    new, seen = cancelled_before_it_was_seeded(house, jobs, old)
    before = jobs.load(new)
    rerun_records.seed(house.engine, seen)
    assert jobs.load(new) == before
    assert house.shown(new) == {
        "a": "completed",
        "b": "completed",
        "c": "cancelled",
        "l": "cancelled",
    }


def test_a_re_run_that_was_cancelled_before_it_began_loses_nothing():
    jobs = ForgetfulJobs()
    house = House("a", "b<a", "l", l={"for_each": [0, 1]}, ports={"jobs": jobs})
    old = ended(house, "b", "l[1]")
    new, _ = cancelled_before_it_was_seeded(house, jobs, old)
    again(house, new, FAILED)
    assert sorted(ran(house)) == ["b", "l[1]"]
