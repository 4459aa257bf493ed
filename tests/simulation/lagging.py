"""Stores whose reads are no snapshot, or lag behind: as bad as their adapters allow."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.errors import UnavailableError


class StaleIndex:
    """The job store, with an index that lags behind: it forgets and remembers too long."""

    def __init__(self, target, world):
        self._target = target
        self._world = world

    def __getattr__(self, name):
        return getattr(self._target, name)

    def seed(self, job_id, records):
        """Write the records; now and then only the first of them arrive."""
        world = self._world
        if world.faulty and world.faults.rate and world.random() < 0.2:
            half = replace(records, steps=records.steps[::2], instances=records.instances[::2])
            self._target.take_over(job_id, half)
            raise UnavailableError("the records of the re-run arrived in part")
        self._target.seed(job_id, records)

    def due(self, now, limit):
        world = self._world
        found = self._target.due(now, limit)
        if world.faulty and world.is_stale and world.random() < 0.3:
            found = [job_id for job_id in found if world.random() < 0.7]
            found += [job_id for job_id in self._target.ids() if world.random() < 0.2]
        return found


class Materialized:
    """The object store; a stream is read to its end first, as a client that repeats parts does."""

    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        return getattr(self._target, name)

    def put_stream(self, key, parts):
        return self._target.put_stream(key, list(parts))


class TornReads:
    """The job store, where a query is no snapshot.

    It reads in the order of the sort keys: the groups of loops, META, the notes, then the steps;
    and other items a while later than those before them.
    """

    def __init__(self, target, world):
        self._target = target
        self._world = world

    def __getattr__(self, name):
        return getattr(self._target, name)

    def load(self, job_id):
        state = self._target.load(job_id)
        if not self._is_torn():
            return state
        late = self._world.jobs.state(job_id)
        return replace(state, steps=self._mixed(state.steps, late.steps))

    def load_steps(self, job_id, steps):
        state = self._target.load_steps(job_id, steps)
        if not self._is_torn():
            return state
        late = self._world.jobs.load_steps(job_id, steps)
        job = late.job if self._world.random() < 0.5 else state.job
        return replace(state, job=job, steps=self._mixed(state.steps, late.steps))

    def load_instances(self, job_id, step, first, last):
        early = self._target.load_instances(job_id, step, first, last)
        if not self._is_torn():
            return early
        return self._mixed(early, self._world.jobs.load_instances(job_id, step, first, last))

    def _is_torn(self):
        world = self._world
        if not world.torn or world.random() >= world.torn:
            return False
        world.scheduler.sleep(0.01 + world.random())
        return True

    def _mixed(self, early, late):
        random = self._world.random
        picked = {key: late[key] for key in late if key not in early or random() < 0.7}
        return {**early, **picked}
