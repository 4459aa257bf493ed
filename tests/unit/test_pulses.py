"""What is watched pulses after every change of its steps; what is not watched costs no write."""

from datetime import timedelta

from chalicelib.domain.live import WATCHED_FOR
from chalicelib.domain.workflow import Retry
from tests.fakes.house import House


def watched(house, job_id):
    house.engine.jobs.watch(job_id, house.clock.now() + WATCHED_FOR)


def pulse_of(house, job_id):
    return house.engine.jobs.get(job_id).pulse


def moved(house, job_id, act):
    """Let time pass, act, and say whether that made the job pulse."""
    house.clock.tick(1)
    before = pulse_of(house, job_id)
    act()
    return pulse_of(house, job_id) != before


def test_a_watched_job_pulses_at_claim_and_end():
    house = House("a", "b<a")
    job_id = house.job()
    watched(house, job_id)
    taken = []

    assert moved(house, job_id, lambda: taken.append(house.take()))
    assert moved(house, job_id, lambda: house.end(taken[0]))


def test_a_watched_job_pulses_when_an_attempt_is_to_be_tried_again():
    house = House("a", a={"retry": Retry(delay_s=5)})
    job_id = house.job()
    watched(house, job_id)
    assignment = house.take()

    assert moved(house, job_id, lambda: house.end(assignment, error="no"))


def test_an_unwatched_job_never_pulses():
    house = House("a")
    job_id = house.job()
    house.end(house.take())

    assert pulse_of(house, job_id) is None


def test_a_job_is_watched_no_longer_than_said():
    house = House("a")
    job_id = house.job()
    watched(house, job_id)
    house.clock.tick(WATCHED_FOR.total_seconds())

    assert not moved(house, job_id, house.take)


def test_a_worker_hears_which_of_its_jobs_are_watched():
    house = House("a")
    seen, unseen = house.job(), house.job()
    watched(house, seen)
    first, second = house.take(), house.take()

    assert {first.hold.ref.job_id: first.watched, second.hold.ref.job_id: second.watched} == {
        seen: True,
        unseen: False,
    }
    assert house.beat(first, second).watched == {seen}


def test_a_longer_watch_is_not_shortened():
    house = House("a")
    job_id = house.job()
    longer = house.clock.now() + timedelta(hours=2)
    house.engine.jobs.watch(job_id, longer)
    watched(house, job_id)

    assert house.engine.jobs.get(job_id).watched_until == longer


def test_the_first_worker_of_a_job_that_is_started_to_be_watched_knows_it():
    house = House("a")
    house.job(watched=True)

    assert house.take().watched
