"""Houses whose workspace is written as YAML, and what tests do with flows of several jobs."""

from __future__ import annotations

import json

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine import job_logs, workers
from chalicelib.engine.ports import JobFilter
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.house import WORKSPACE, House


def a_house(text, **given):
    """A house whose workspace is this YAML; `house.job()` runs its first task."""
    tree = WorkspaceTree({"w.yaml": SourceFile(text.encode())})
    return House(definition=read_workspace(tree).require(), **given)


def work(house, end=lambda _: {}, limit=200):
    """Work until no message is left; return what ran, as `(task, step)`, in order."""
    ran = []
    while found := house.engine.queue.receive("script", 0, 1):
        assert len(ran) < limit
        assignment = workers.take(house.engine, found[0], house.session, "w")
        if assignment is not None:
            ran.append((assignment.task, assignment.hold.ref.step))
            house.end(assignment, **end(assignment))
    return ran


def jobs_of(house, source_type):
    """Return the jobs that something of this kind started, by time, depth and source."""
    kept = house.engine.jobs.page(JobFilter(workspaces=[WORKSPACE]), None, 500)
    found = [house.engine.jobs.get(row.job_id) for row in kept if row.source_type == source_type]
    return sorted(found, key=lambda job: (job.created_at, job.depth, job.source_id))


def server_lines(house, job_id):
    """Return the texts of the job's `_server` log."""
    return [
        json.loads(line)["line"] for line in job_logs.read_log(house.engine, job_id, "_server")
    ]


class FailingJobs(MemoryJobs):
    """A store of which the calls that `breaks` names do not arrive, as often as it says."""

    def __init__(self):
        super().__init__()
        self.breaks = {}

    def _check(self, name):
        if self.breaks.get(name, 0):
            self.breaks[name] -= 1
            raise UnavailableError(f"{name} does not answer")

    def create(self, job):
        if job.parent is not None or job.source_id is not None:
            self._check("create")
        return super().create(job)

    def end_step(self, end):
        self._check(f"end_step {end.ref.step}")
        return super().end_step(end)

    def leave_group(self, ref, *, failed):
        self._check("leave_group")
        return super().leave_group(ref, failed=failed)

    def after_done(self, job_id, action):
        self._check(f"after_done {action}")
        super().after_done(job_id, action)
