"""Re-runs: what is taken over of a job that has ended, what runs again, and who knows of whom."""

import json

import pytest

from chalicelib.domain.errors import (
    ConflictError,
    IdempotencyError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from chalicelib.domain.reruns import FromStep, StartFrom, start_of
from chalicelib.engine import advance, queries_jobs, recovery, rerun_records, reruns
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.payloads import load_blob, load_object
from chalicelib.engine.reruns import RerunRequest
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.flows import a_house, jobs_of, server_lines, work
from tests.fakes.house import House

FAILED = StartFrom.FAILED
BIG = "x" * 2000


def failing(*steps):
    """Work of which these steps fail."""

    def end(assignment):
        name = assignment.hold.ref.step
        return {"error": "no"} if name in steps else {"output": {"of": name}}

    return end


def ran(house, *bad):
    return [step for _, step in work(house, failing(*bad), limit=20_000)]


def ended(house, *bad, **given):
    """Run a job to its end; return its id."""
    job_id = house.job(**given)
    work(house, failing(*bad), limit=20_000)
    assert house.engine.jobs.get(job_id).status.is_terminal
    return job_id


def again(house, job_id, start=StartFrom.START, **given):
    return reruns.rerun(house.engine, RerunRequest(job_id=job_id, start=start, **given)).job_id


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


SECRETS = """
actions:
  act: { type: script, script: "true" }
  call: { type: task, task: child }
tasks:
  ship:
    input:
      version: { type: string, required: true }
      password: { type: string, secret: true }
      options: { type: text }
    flow:
      a: { action: act, input: { p: "{{ input.password }}", v: "{{ input.version }}" } }
      b: { action: act, depends_on: [a], input: { p: "{{ input.password }}" } }
  other: { flow: { x: { action: act } } }
  above:
    input: { password: { type: string, secret: true } }
    flow: { sub: { action: call, input: { handed: "{{ input.password }}" } } }
  child: { flow: { x: { action: act } } }
"""
GIVEN = {"version": "1", "password": "hunter2-long", "note": "see hunter2-long"}


def secret_job(house, *bad):
    return ended(house, *bad, input=GIVEN)


def kept_input(house, job_id):
    job = house.engine.jobs.get(job_id)
    secret = json.loads(load_blob(house.engine.blobs, job.secret_input))
    return load_object(house.engine.blobs, job.input), secret


def test_the_same_inputs_keep_their_secrets_apart():
    house = a_house(SECRETS)
    old = secret_job(house, "b")
    new = again(house, old, FAILED)
    assert house.take().rendered.input["p"] == "hunter2-long"
    assert kept_input(house, new) == kept_input(house, old)
    shown = queries_jobs.job_view(house.engine, new).input
    assert "hunter2" not in json.dumps(shown)


def test_what_a_sub_job_was_handed_as_a_secret_stays_one_when_it_is_run_again_by_itself():
    house = a_house(SECRETS)
    above = ended(house, task="above", input={"password": "hunter2-long"})
    child = house.record(above, "sub").child
    new = again(house, child)
    assert kept_input(house, new) == ({"handed": "********"}, {"handed": "hunter2-long"})


def test_single_inputs_are_changed_and_the_others_stay():
    house = a_house(SECRETS)
    new = again(house, secret_job(house), edits={"version": "2"})
    given = house.take().rendered.input
    assert (given["p"], given["v"]) == ("hunter2-long", "2")
    assert kept_input(house, new)[0]["version"] == "2"


def test_what_comes_back_as_it_was_shown_is_what_it_stands_for():
    house = a_house(SECRETS)
    old = secret_job(house)
    shown = queries_jobs.job_view(house.engine, old).input
    assert shown == {"version": "1", "password": "********", "note": "see ••••••"}
    new = again(house, old, edits=shown)
    assert kept_input(house, new) == kept_input(house, old)


@pytest.mark.parametrize("mask", ["********", "••••••"])
def test_a_mask_that_stands_for_nothing_is_refused(mask):
    house = a_house(SECRETS)
    old = house.job(input={"version": "1"})
    advance.cancel(house.engine, old)
    with pytest.raises(InvalidError, match="had no such input: password"):
        again(house, old, edits={"password": mask})


def execute(house, source, given, task="ship"):
    request = JobRequest(workspace="shop", task=task, input=given)
    return reruns.execute_again(house.engine, request, source).job_id


def test_executing_again_takes_masked_values_from_the_source_and_only_what_is_given():
    house = a_house(SECRETS)
    old = secret_job(house)
    new = execute(house, old, {"version": "3", "password": "••••••"})
    shown, secret = kept_input(house, new)
    assert (shown, secret) == (
        {"version": "3", "password": "********"},
        {"password": "hunter2-long"},
    )
    job = house.engine.jobs.get(new)
    assert (job.source_type, job.source_job, job.restart_from) == ("rerun", old, None)
    assert house.engine.jobs.get(old).reruns == {new}


def test_a_chain_of_executions_names_the_job_right_before():
    house = a_house(SECRETS)
    first = secret_job(house)
    second = execute(house, first, {"version": "2", "password": "********"})
    third = execute(house, second, {"version": "3", "password": "********"})
    assert house.engine.jobs.get(third).source_job == second
    assert kept_input(house, third)[1] == {"password": "hunter2-long"}


def test_executing_again_what_is_of_another_task_or_unknown_is_refused():
    house = a_house(SECRETS)
    old = secret_job(house)
    with pytest.raises(InvalidError, match="cannot be run again as 'other'"):
        execute(house, old, {}, task="other")
    with pytest.raises(InvalidError, match="nothing to run again"):
        execute(house, "nope", {"version": "1"})
    with pytest.raises(NotFoundError):
        reruns.rerun(house.engine, RerunRequest(job_id="nope"))
