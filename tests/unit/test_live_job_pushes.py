"""What those who watch are told of a job, its steps and its workspace, and what it costs."""

import json
from dataclasses import replace

import pytest

from chalicelib.domain.live import WATCHED_FOR
from chalicelib.domain.workflow import Retry
from chalicelib.engine.live.changes import JobChanged
from chalicelib.store.memory_access import MemoryAccess
from tests.fakes.house import WORKSPACE
from tests.unit.live_house import Stage, an_acl, kinds


@pytest.fixture
def stage():
    return Stage()


def test_a_change_that_nobody_sees_costs_nothing(stage):
    job_id = stage.house.job()
    stage.streams.job(job_id)
    job = stage.engine.jobs.get(job_id)
    calls = stage.counting()
    stage.tell(JobChanged(job, replace(job, due=stage.clock.now(), looks=3)))
    assert calls == []
    stage.tell(JobChanged(job, replace(job, paused=True)))
    assert calls == ["watchers"]


def test_who_watches_a_workspace_is_told_of_each_job_of_it_and_of_no_other(stage):
    stage.watch("mine", workspace=WORKSPACE)
    stage.watch("theirs", workspace="other")
    job_id = stage.house.job()
    stage.tell_job(job_id)
    [made] = stage.pushes.told("mine")
    assert (made["job"]["job_id"], made["job"]["status"]) == (job_id, "pending")
    assert made["steps"] == []
    job = stage.engine.jobs.get(job_id)
    foreign = replace(job, workspace="other", job_id="0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f")
    stage.tell(JobChanged(None, foreign))
    assert stage.pushes.told("mine") == []
    assert stage.pushes.told("theirs")[0]["job"]["workspace"] == "other"


def test_a_hidden_job_of_a_workspace_is_just_not_told(stage):
    stage.engine = replace(stage.engine, access=MemoryAccess())
    stage.watch("c1", workspace=WORKSPACE)
    stage.engine.access.put_acl(an_acl("other"), None)
    stage.tell_job(stage.house.job())
    assert stage.pushes.told("c1") == []
    assert stage.pushes.closed == []


def test_a_job_is_told_with_its_steps_and_the_end_of_attempts_before_its_own():
    stage = Stage("a", "b<a")
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id)
    stage.tell_job(job_id)
    [snapshot] = stage.pushes.told("c1")
    assert [(one["step_name"], one["status"]) for one in snapshot["steps"]] == [("a", "running")]
    assert snapshot["steps"][0]["attempt"] == 1
    stage.write(work, 1, "one", "two")
    stage.house.end(work, output={"secret": "kept"})
    stage.tell_job(job_id)
    end, after = stage.pushes.told("c1")
    assert end == {"type": "end", "job_id": job_id, "step": "a", "attempt": 1, "end": 2}
    assert [(one["step_name"], one["status"]) for one in after["steps"]] == [
        ("a", "completed"),
        ("b", "ready"),
    ]
    assert "kept" not in json.dumps(after)
    stage.clock.tick(60)
    last = stage.house.take()
    stage.tell_job(job_id)
    stage.house.end(last, error="broken")
    stage.clock.tick(1)
    stage.tell_job(job_id)
    told = stage.pushes.told("c1")
    assert kinds(told)[-2:] == ["end", "job"]
    assert told[-1]["job"]["status"] == "failed"
    assert told[-1]["steps"][-1]["error_message"] == "broken"


def test_the_end_of_an_attempt_is_told_to_who_watches_it_once():
    stage = Stage("a", a={"retry": Retry(delay_s=5, max_attempts=3)})
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", job_id=job_id, step="a", attempt=1)
    stage.streams.job(job_id)
    stage.write(work, 1, "one")
    stage.house.end(work, error="no")
    stage.tell_job(job_id)
    assert stage.pushes.told("c1") == [
        {"type": "end", "job_id": job_id, "step": "a", "attempt": 1, "end": 1}
    ]
    assert stage.opened("c1").topics == frozenset()


def test_that_it_is_still_watched_is_told_to_nobody(stage):
    job_id = stage.house.job()
    stage.watch("c1", job_id=job_id)
    stage.tell_job(job_id)
    stage.pushes.told("c1")
    stage.clock.tick(60)
    stage.engine.jobs.watch(job_id, stage.clock.now() + WATCHED_FOR)
    changes, calls = stage.streams.job(job_id), stage.counting()
    assert changes
    stage.tell(*changes)
    assert calls == []
