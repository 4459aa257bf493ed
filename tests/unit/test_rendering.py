"""What a claim renders, what its templates read, and what becomes of a step where one fails."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import TemplateError
from chalicelib.engine.payloads import load_object
from tests.fakes.flows import a_house, jobs_of, server_lines, work

SHOP = """
secrets: { API: wxyz-1234, deep: { PIN: "{{ 'a' ~ 77 }}" } }
connection_types: { db: { host: {}, port: { type: integer, default: 5432 } } }
connections: { main: { type: db, host: "db-{{ secret.deep.PIN }}" } }
actions:
  full:
    type: script
    script: "echo {{ input.word | quote }}"
    args: ["--key", "{{ secret.API }}"]
    env: { KEY: "{{ secret.API }}", PIN: "{{ secret.deep.PIN }}", ALSO: "{{ input.also }}" }
    input: { word: {}, also: { default: "{{ secret.API | length }}" } }
  plain: { type: script, script: "true" }
tasks:
  ship:
    input: { word: { default: hello }, into: { type: db, default: main } }
    flow:
      first: { action: full, input: { word: "{{ input.word }}", n: 3, list: [1, "{{ 2 }}"] } }
      next: { action: plain, depends_on: [first], input: { TEXT } }
"""
BROKEN = """
on_error: [{ action: tell, input: { text: "{{ hook.error_message }}" } }]
actions:
  tell: { type: script, script: "true", input: { text: {} } }
  plain: { type: script, script: "true" }
  bad: { type: script, script: "true", BAD }
  down: { type: task, task: below }
tasks:
  above: { flow: { call: { action: down }, last: { action: plain, depends_on: [call] } } }
  below:
    flow:
      a: { action: bad, INPUT }
      behind: { action: plain, depends_on: [a] }
      anyway: { action: plain, depends_on: [a], continue_on_failure: true }
"""
MISSING = "'{{ input.missing }}'"


def shop(text=""):
    return a_house(SHOP.replace("TEXT", text))


def claimed(text, output=None):
    """Return what the second step of the shop's task is given."""
    house = shop(text)
    house.job()
    house.end(house.take(), output=output)
    return house.take().rendered.input


def test_the_first_step_reads_the_jobs_input_and_all_of_the_action_is_rendered():
    house = shop()
    house.job()
    rendered = house.take().rendered
    assert rendered.script == "echo hello"
    assert rendered.args == ("--key", "wxyz-1234")
    assert rendered.env == {"KEY": "wxyz-1234", "PIN": "a77", "ALSO": "9"}


def test_values_that_are_no_templates_pass_beside_those_that_are():
    house = shop()
    house.job(input={"word": "bye"})
    given = house.take().rendered.input
    assert (given["word"], given["n"], given["list"]) == ("bye", 3, [1, "{{ 2 }}"])


def test_a_connection_passes_whole_with_its_defaults_and_templates():
    house = shop()
    house.job()
    assert house.take().rendered.input["into"] == {"host": "db-a77", "port": 5432}


def test_an_output_flows_into_the_input_of_the_next_step():
    given = claimed('x: "{{ first.output.n }}", all: "{{ first.output }}"', {"n": [1, 2]})
    assert (given["x"], given["all"]) == ([1, 2], {"n": [1, 2]})


def test_the_output_of_a_step_that_printed_none_reads_as_nothing():
    text = 'x: "{{ first.output | default(value=\'nothing\') }}", y: "{{ first.output }}"'
    given = claimed(text)
    assert (given["x"], given["y"]) == ("nothing", "")


WHERE = [
    ({"BAD": f"env: {{ A: {MISSING} }}"}, "`input.missing` is not defined"),
    ({"BAD": f"args: [{MISSING}]"}, "`input.missing` is not defined"),
    ({"BAD": "input: { x: { default: '{{ secret.none }}' } }"}, "`secret.none` is not defined"),
    ({"INPUT": f"input: {{ x: {MISSING} }}"}, "`input.missing` is not defined"),
    ({"INPUT": "input: { x: '{{ secret.deep.none }}' }"}, "is not defined"),
    ({"INPUT": "input: { x: '{{ other.output.n }}' }"}, "is not defined"),
]


def broken(parts):
    text = BROKEN
    for name in ("BAD", "INPUT"):
        text = text.replace(f", {name} ", f", {parts[name]} " if name in parts else " ")
    return a_house(text)


@pytest.mark.parametrize(("parts", "why"), WHERE)
def test_a_template_that_fails_fails_its_step_at_the_claim_and_the_flow_goes_on(parts, why):
    house = broken(parts)
    job_id = house.job(task="below")
    with pytest.raises(TemplateError):
        house.take()
    assert why in house.record(job_id, "a").error
    assert house.shown(job_id) == {"a": "failed", "behind": "skipped", "anyway": "ready"}
    assert ("below", "anyway") in work(house)
    assert house.status(job_id) == "failed"
    assert any("Step 'a' failed" in line for line in server_lines(house, job_id))


@pytest.mark.parametrize(("parts", "why"), WHERE)
def test_it_fires_the_hooks_and_fails_the_step_of_the_parent(parts, why):
    house = broken(parts)
    job_id = house.job(task="above")
    with pytest.raises(TemplateError):
        house.take()
    work(house)
    assert house.shown(job_id) == {"call": "failed", "last": "skipped"}
    assert why in house.record(job_id, "call").error
    (hook,) = jobs_of(house, "hook")
    assert why in load_object(house.engine.blobs, hook.input)["text"]


def test_a_template_that_fails_is_tried_again_where_the_step_is():
    house = a_house(
        'actions: { act: { type: script, script: "{{ input.missing }}" } }\n'
        "tasks: { t: { flow: { a: { action: act, retry: { max_attempts: 2, delay: 5s } } } } }"
    )
    job_id = house.job()
    for wait in (0, 5):
        house.clock.tick(wait)
        with pytest.raises(TemplateError):
            house.take()
    record = house.record(job_id, "a")
    assert (record.status, record.attempt, len(record.history)) == ("failed", 2, 1)


def test_in_a_loop_it_fails_the_instances_that_it_concerns_and_no_others():
    house = a_house(
        'actions: { act: { type: script, script: "echo {{ input.item.name | quote }}" } }\n'
        "tasks:\n"
        "  t:\n"
        "    flow:\n"
        "      a:\n"
        "        action: act\n"
        "        for_each: [{ name: x }, { nick: y }, { name: z }]\n"
        '        input: { item: "{{ each.item }}" }\n'
    )
    job_id = house.job()
    first = house.take()
    with pytest.raises(TemplateError):
        house.take()
    third = house.take()
    assert [one.hold.ref.step for one in (first, third)] == ["a[0]", "a[2]"]
    house.end(first, output=1)
    house.end(third, output=3)
    record = house.record(job_id, "a")
    failed = house.engine.jobs.load_steps(job_id, ["a[1]"])
    assert (record.status, record.error) == ("failed", "for_each loop failed: instances [1]")
    assert "`input.item.name` is not defined" in failed.steps["a[1]"].error
    assert house.status(job_id) == "failed"
