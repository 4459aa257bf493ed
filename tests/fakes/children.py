"""Houses whose jobs start others, and what tests ask of those."""

from __future__ import annotations

from chalicelib.engine.payloads import load_blob, load_object
from tests.fakes.flows import a_house

CLEAN = """
actions:
  clean: { type: task, task: cleanup }
  tidy: { type: script, script: "true" }
tasks:
  ship:
    flow:
      test: { action: tidy }
      call: { action: clean, depends_on: [test], KEYS input: { INPUT } }
      last: { action: tidy, depends_on: [call], input: { was: "{{ call.output.sweep.rooms }}" } }
  cleanup:
    input: { FIELDS }
    flow:
      sweep: { action: tidy }
"""
DEEP = """
actions:
  tidy: { type: script, script: "true" }
  to_two: { type: task, task: two }
  to_three: { type: task, task: three }
tasks:
  one: { flow: { a: { action: to_two } } }
  two: { flow: { b: { action: to_three } } }
  three: { flow: { c: { action: tidy }, d: { action: tidy, depends_on: [c] } } }
"""
LOOP = """
actions:
  clean: { type: task, task: cleanup }
  tidy: { type: script, script: "true" }
tasks:
  ship:
    flow:
      each:
        action: clean
        for_each: [red, blue, green]
        KEYS
        input: { room: "{{ each.item }}" }
  cleanup:
    input: { room: { type: string } }
    flow: { sweep: { action: tidy, input: { room: "{{ input.room }}" } } }
"""


def clean(keys="", given="", fields="", **ports):
    text = CLEAN.replace("KEYS", keys).replace("INPUT", given).replace("FIELDS", fields)
    return a_house(text, **ports)


def begun(house, **given):
    """Create a job and end its first step, so that its sub-job begins; return its id."""
    job_id = house.job(**given)
    house.end(house.take())
    return job_id


def child_of(house, job_id, step="call"):
    return house.engine.jobs.get(house.record(job_id, step).child)


def given_to(house, job):
    """Return what is kept of the job's input: in its item, and apart from it."""
    shown = load_object(house.engine.blobs, job.input)
    apart = load_blob(house.engine.blobs, job.secret_input).decode() if job.secret_input else ""
    return shown, apart
