"""Re-runs: the inputs that stay, those that are changed, and secrets among them."""

import json

import pytest

from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.engine import advance, queries_jobs, reruns
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.payloads import load_blob, load_object
from chalicelib.engine.reruns import RerunRequest
from tests.fakes.flows import a_house
from tests.fakes.reruns import FAILED, again, ended

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
