"""Re-runs: what is taken over of a job that has ended, what runs again, and who knows of whom."""

import pytest

from chalicelib.domain.errors import ConflictError, IdempotencyError, InvalidError
from chalicelib.domain.reruns import FromStep, StartFrom, start_of
from chalicelib.engine import advance
from tests.fakes.flows import jobs_of, server_lines, work
from tests.fakes.house import House
from tests.fakes.reruns import FAILED, again, ended, failing, ran

BIG = "x" * 2000
DIAMOND = ("a", "b<a", "c<a", "d<b,c", "e")


def test_a_whole_re_run_runs_every_step_and_takes_nothing_over():
    house = House(*DIAMOND)
    old = ended(house)
    new = again(house, old)
    assert sorted(ran(house)) == ["a", "b", "c", "d", "e"]
    assert house.status(new) == "completed"


def test_from_failed_what_completed_is_taken_over_with_its_output_and_the_rest_runs():
    house = House(*DIAMOND, d={"input": {"x": "{{ c.output.of }}"}})
    old = ended(house, "b")
    new = again(house, old, FAILED)
    assert house.shown(new) == {
        "a": "completed",
        "e": "completed",
        "b": "ready",
        "c": "completed",
        "d": "pending",
    }
    house.end(house.take())
    assert house.take().rendered.input["x"] == "c"
    assert house.record(new, "c").output == house.record(old, "c").output


def test_from_failed_what_lies_behind_a_failure_runs_again_though_it_completed():
    house = House("a", "b<a!", "c<b")
    old = ended(house, "a")
    assert house.shown(old) == {"a": "failed", "b": "completed", "c": "completed"}
    again(house, old, FAILED)
    assert ran(house) == ["a", "b", "c"]


def test_from_failed_a_cancelled_job_goes_on_where_it_was_stopped():
    house = House("a", "b<a", "c<b")
    old = house.job()
    house.end(house.take())
    advance.cancel(house.engine, old)
    new = again(house, old, FAILED)
    assert ran(house) == ["b", "c"]
    assert house.status(new) == "completed"


def test_what_a_job_halted_before_it_completed_counts_in_the_re_run():
    house = House("a", "b<a")
    old = house.job()
    at_work = house.take()
    advance.cancel(house.engine, old)
    house.end(at_work)
    assert house.shown(old) == {"a": "completed", "b": "cancelled"}
    again(house, old, FAILED)
    assert ran(house) == ["b"]


def test_what_was_skipped_as_the_flow_decided_stays_skipped():
    house = House("a", "b", "c<b", a={"when": "{{ false }}"})
    old = ended(house, "b")
    new = again(house, old, FAILED)
    assert house.record(new, "a").status == "skipped"
    assert ran(house) == ["b", "c"]


def test_from_a_step_it_and_all_behind_it_run_again_and_what_never_completed():
    house = House("a", "b<a", "c<b", "d", "e<d", "f")
    old = ended(house, "d")
    new = again(house, old, FromStep("b"))
    assert sorted(ran(house)) == ["b", "c", "d", "e"]
    assert house.engine.jobs.get(new).restart_from == "b"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("start", StartFrom.START),
        ("failed", StartFrom.FAILED),
        ("build", FromStep("build")),
        ("step:failed", FromStep("failed")),
    ],
)
def test_a_word_or_a_step_says_where_to_start(text, start):
    assert start_of(text) == start


def test_a_step_that_is_not_there_is_refused_with_those_that_are():
    house = House("a", "b<a")
    old = ended(house)
    with pytest.raises(InvalidError, match="no step 'nope'; there are: a, b"):
        again(house, old, FromStep("nope"))


def test_a_job_that_goes_on_is_not_run_again():
    house = House("a")
    old = house.job()
    with pytest.raises(ConflictError, match="can be run again when it has ended"):
        again(house, old)


def test_a_cancelled_job_is_not_run_again_while_a_step_of_it_still_runs():
    house = House("a", "b")
    old = house.job()
    at_work = house.take()
    advance.cancel(house.engine, old)
    with pytest.raises(ConflictError, match=f"still being stopped: {at_work.hold.ref.step}"):
        again(house, old)
    house.end(at_work, cancelled=True)
    assert again(house, old)


def test_where_nothing_failed_there_is_nothing_to_run_from_failure():
    house = House("a")
    old = ended(house)
    with pytest.raises(ConflictError, match="nothing failed"):
        again(house, old, FAILED)


def test_an_output_that_is_gone_is_told_before_anything_is_made():
    house = House("a", "b<a")
    old = house.job()
    house.end(house.take(), output=BIG)
    work(house, failing("b"))
    house.engine.blobs.delete(house.record(old, "a").output.ref.key)
    with pytest.raises(ConflictError, match="is not kept any more"):
        again(house, old, FAILED)
    assert jobs_of(house, "rerun") == []
    assert again(house, old)


def test_both_jobs_name_each_other():
    house = House("a")
    old = ended(house, "a")
    new = again(house, old, FAILED)
    job = house.engine.jobs.get(new)
    assert (job.source_job, job.source_type, job.restart_from) == (old, "rerun", "failed")
    assert house.engine.jobs.get(old).reruns == {new}


def test_the_same_key_makes_one_job_and_another_start_under_it_is_refused():
    house = House("a", "b")
    old = ended(house, "a")
    first = again(house, old, FAILED, idempotency_key="k")
    assert again(house, old, FAILED, idempotency_key="k") == first
    with pytest.raises(IdempotencyError):
        again(house, old, FromStep("b"), idempotency_key="k")
    assert ran(house) == ["a"]
    assert house.status(first) == "completed"


def test_a_re_run_of_a_re_run_takes_over_what_either_completed():
    house = House("a", "b<a", "c<b")
    first = ended(house, "b")
    second = again(house, first, FAILED)
    assert ran(house, "c") == ["b", "c"]
    third = again(house, second, FAILED)
    assert ran(house) == ["c"]
    assert house.engine.jobs.get(third).source_job == second


def test_the_log_says_what_was_taken_over_and_does_not_tell_it_as_its_own():
    house = House("a", "b<a")
    old = ended(house, "b")
    house.clock.tick(60)
    new = again(house, old, FAILED)
    ran(house)
    lines = server_lines(house, new)
    assert lines[:2] == [
        f"Job created by rerun ({old}), revision r1",
        f"Step 'a' taken over from job {old}: completed",
    ]
    assert not any(line.startswith("Step 'a' attempt") for line in lines)
