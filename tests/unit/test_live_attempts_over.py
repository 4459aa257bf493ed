"""Attempts that are watched by name: their ends, also of those that never begin."""

import pytest

from chalicelib.engine.live import serving
from tests.unit.live_house import Stage, kinds, lines_in, refusal


class Named(Stage):
    """A stage whose viewer also speaks."""

    def ask(self, connection_id, text):
        serving.serve(self.engine, connection_id, text)
        return self.pushes.told(connection_id)

    def ask_range(self, job_id, attempt, first=1):
        topic = f'{{"job_id": "{job_id}", "step": "a", "attempt": {attempt}}}'
        return self.ask("c1", f'{{"action": "range", "topic": {topic}, "first": {first}}}')

    def subscribe(self, job_id, attempt):
        topic = f'{{"job_id": "{job_id}", "step": "a", "attempt": {attempt}}}'
        return self.ask("c1", f'{{"action": "subscribe", "topic": {topic}}}')


@pytest.fixture
def stage():
    return Named()


def test_lines_that_come_behind_the_end_are_asked_for(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id, step="a", attempt=1)
    stage.write(work, 1, "one", "two")
    stage.house.end(work)
    stage.tell_job(job_id)
    [end] = stage.pushes.told("c1")
    assert (end["type"], end["end"]) == ("end", 2)
    stage.tell_lines(job_id)
    assert stage.pushes.told("c1") == []
    told = stage.ask_range(job_id, 1)
    assert kinds(told) == ["lines", "caught_up"]
    assert lines_in(told) == ["one", "two"]


def test_lines_of_an_attempt_that_runs_and_is_not_watched_are_refused(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", workspace="shop")
    stage.write(work, 1, "one")
    assert refusal(stage.ask_range(job_id, 1)) == "not_found"


def test_an_attempt_that_never_begins_is_over_with_its_job(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id, step="a", attempt=2)
    stage.house.end(work)
    stage.tell_job(job_id)
    [end] = stage.pushes.told("c1")
    assert (end["type"], end["attempt"], end["end"]) == ("end", 2, 0)
    assert stage.opened("c1").topics == set()


def test_who_comes_too_late_for_an_attempt_that_never_began_hears_that_it_is_over(stage):
    job_id, work = stage.house.job(), stage.house.take()
    stage.connect(ticket=stage.ticket())
    assert stage.subscribe(job_id, 2)[0]["heads"] == []
    stage.house.end(work)
    assert stage.subscribe(job_id, 2)[0]["heads"] == [["a", 2, 0, True]]
