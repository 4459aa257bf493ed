"""Jobs that start jobs, on the table that ships as in memory."""

from __future__ import annotations

import pytest

from chalicelib.engine import advance, recovery
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.clock import FakeClock
from tests.fakes.flows import a_house, work

FAMILY = """
actions:
  act: { type: script, script: "true" }
  tell: { type: script, script: "true", input: { text: { type: string } } }
  low: { type: task, task: low }
tasks:
  top:
    retry: { max_attempts: 2, delay: 5s }
    on_error: [{ action: tell, input: { text: "{{ hook.error_message }}" } }, { action: far.none }]
    flow:
      rooms: { action: low, for_each: [1, 2], input: { n: "{{ each.item }}" } }
      last: { action: act, depends_on: [rooms] }
  low: { input: { n: { type: integer, secret: true } }, flow: { x: { action: act } } }
"""


def told(house):
    """What became of every job, and what is noted of it, ids left out."""
    store = house.engine.jobs
    kept = [store.load(job_id) for job_id in house.made]
    return [
        (
            state.job.task,
            state.job.source_type.value,
            state.job.status.value,
            state.job.depth,
            state.job.due,
            {key: record.status.value for key, record in state.steps.items()},
            [note.key for note in state.notes],
        )
        for state in kept
    ]


class Kept:
    """Stands before a store and keeps the ids of the jobs that were made."""

    def __init__(self, store):
        self.made = []
        self._store = store

    def create(self, job):
        if job.job_id not in self.made:
            self.made.append(job.job_id)
        return self._store.create(job)

    def __getattr__(self, name):
        return getattr(self._store, name)


def a_day(store):
    clock = FakeClock()
    kept = Kept(store)
    house = a_house(FAMILY, ports={"jobs": kept, "clock": clock})
    house.made = kept.made
    house.job()
    work(house, lambda _: {"error": "no"})
    clock.tick(30)
    recovery.sweep(house.engine)
    work(house, lambda a: {"error": "no"} if a.task == "low" else {})
    second = house.job()
    advance.cancel(house.engine, second)
    recovery.look(house.engine, second)
    return told(house)


@pytest.mark.usefixtures("place")
def test_a_family_of_jobs_ends_alike_on_every_store(jobs):
    found = a_day(jobs)
    assert found == a_day(MemoryJobs())
    assert [row[:3] for row in found] == [
        ("top", "api", "failed"),
        ("low", "task", "failed"),
        ("low", "task", "failed"),
        ("top", "retry", "failed"),
        ("low", "task", "failed"),
        ("low", "task", "failed"),
        ("_hook:tell", "hook", "completed"),
        ("top", "api", "cancelled"),
        ("low", "task", "cancelled"),
        ("low", "task", "cancelled"),
    ]
    assert {row[4] for row in found} == {None}
