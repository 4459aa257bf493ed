"""Conditions: asked once, when a step's turn has come, and kept."""

import pytest

from chalicelib.engine import advance, recovery
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.house import House


def when(text):
    return {"when": text}


@pytest.mark.parametrize("said", ["", " ", "false", "False ", "0", "null", "none", "NONE"])
def test_a_falsy_word_skips_the_step(said):
    house = House("a", a=when("{{ input.said }}"))
    job_id = house.job(input={"said": said})
    assert house.shown(job_id) == {"a": "skipped"}
    assert house.status(job_id) == "completed"


@pytest.mark.parametrize("said", ["true", "yes", "1", "no", "00", "input.x"])
def test_any_other_word_runs_it(said):
    house = House("a", a=when("{{ input.said }}"))
    job_id = house.job(input={"said": said})
    assert house.shown(job_id) == {"a": "ready"}
    house.end(house.take())
    assert house.status(job_id) == "completed"


def test_a_bare_expression_is_a_text_and_so_true():
    house = House("a", a=when("input.x == 'y'"))
    assert house.shown(house.job()) == {"a": "ready"}


def test_an_error_fails_the_step_and_says_that_the_condition_is_wrong():
    house = House("a", "b<a", a=when("{{ missing.output }}"))
    job_id = house.job()
    assert house.record(job_id, "a").error.startswith("when condition error: ")
    assert house.shown(job_id) == {"a": "failed", "b": "skipped"}
    assert house.status(job_id) == "failed"


def test_it_reads_outputs_and_errors_of_the_steps_before():
    house = House("a", "b<a", "c<a!", b=when("{{ a.output.go }}"), c=when("{{ a.error }}"))
    job_id = house.job()
    house.end(house.take(), output={"go": True})
    assert house.shown(job_id) == {"a": "completed", "b": "ready", "c": "failed"}


def test_a_false_branch_skips_what_hangs_on_it_alone_and_not_the_join():
    house = House("a", "no<a", "after<no", "yes<a", "join<no,yes", no=when("{{ false }}"))
    job_id = house.job()
    house.end(house.take())
    assert house.shown(job_id)["after"] == "skipped"
    house.end(house.take())
    assert house.shown(job_id)["join"] == "ready"
    house.end(house.take())
    assert house.status(job_id) == "completed"


def test_all_dependencies_skipped_skips_the_step_even_if_its_condition_holds():
    house = House("a", "b<a", a=when("{{ false }}"), b=when("{{ true }}"))
    job_id = house.job()
    assert house.shown(job_id) == {"a": "skipped", "b": "skipped"}


def test_a_step_that_tolerates_failures_is_asked_even_behind_skipped_ones():
    house = House("a", "b<a!", a=when("{{ false }}"), b=when("{{ true }}"))
    job_id = house.job()
    assert house.shown(job_id) == {"a": "skipped", "b": "ready"}


def test_a_skip_that_makes_a_join_ready_sends_it_at_once():
    house = House("a", "d", "b<a", "c<b,d", b=when("{{ a.output.go }}"))
    house.job()
    first, second = house.take(), house.take()
    house.end(second)
    house.end(first, output={"go": False})
    assert house.queued() == [("c", 1)]


class AsksOnce(MemoryJobs):
    """Counts what is decided of each step."""

    def __init__(self):
        super().__init__()
        self.begun = []

    def begin_step(self, begin):
        self.begun.append(begin.ref.step)
        return super().begin_step(begin)


def test_it_is_asked_once_and_the_answer_stands():
    jobs = AsksOnce()
    house = House("a", a=when("{{ true }}"), ports={"jobs": jobs})
    job_id = house.job()
    for _ in range(3):
        house.clock.tick(400)
        house.beat()
        recovery.sweep(house.engine)
    assert jobs.begun == ["a"]
    assert house.shown(job_id) == {"a": "ready"}


def test_a_job_cancelled_before_it_is_asked_never_asks():
    house = House("a", "b<a", b=when("{{ true }}"))
    job_id = house.job()
    advance.cancel(house.engine, job_id)
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    assert house.queued() == [("a", 1)]
