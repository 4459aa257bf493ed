"""What messages tell of a job and of its steps, in the very words of the REST API."""

import json
from dataclasses import replace

import pytest

from chalicelib.domain.job import Parent
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.live import Connection, Identity, Mode, Topic
from chalicelib.domain.permissions import Access, Acl, AclRule
from chalicelib.domain.values import StepRef
from chalicelib.engine.live import pushing
from chalicelib.engine.live.changes import JobChanged
from chalicelib.store.memory_access import MemoryAccess
from chalicelib.store.memory_connections import MemoryConnections
from tests.api.callers import a_user, with_callers
from tests.fakes.pushes import FakePushes

GUEST = a_user("guest", stamp="s")


@pytest.fixture
def watched(world):
    """A world with a connection `c1` of a guest."""
    now = world.clock.now
    world.engine = replace(world.engine, connections=MemoryConnections(now), pushes=FakePushes())
    with_callers(world, guest=GUEST)
    world.token = "guest"
    opened = Connection(
        connection_id="c1",
        identity=Identity.of(GUEST),
        mode=Mode.MESSAGES,
        opened_at=now(),
        expires_at=now().replace(year=2030),
    )
    world.engine.connections.open(opened)
    return world


def told(world, before, after):
    pushing.on_changes(world.engine, [JobChanged(before, after)], lambda _: None)
    return world.engine.pushes.told("c1")


def asked(world, path):
    return json.loads(json.dumps(world.get(path).json_body))


def test_an_entry_is_that_of_the_list_of_jobs(watched):
    watched.publish()
    job_id = watched.execute()
    watched.engine.connections.subscribe("c1", Topic(workspace="shop"))
    [message] = told(watched, None, watched.engine.jobs.get(job_id))
    [entry] = asked(watched, "/api/jobs")["items"]
    assert message == {"type": "job", "job": entry, "steps": []}


@pytest.mark.parametrize("is_held", [True, False])
def test_an_entry_tells_of_other_jobs_only_as_the_list_does(watched, is_held):
    watched.publish()
    job = watched.engine.jobs.get(watched.execute())
    changed = replace(
        job,
        job_id="0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f",
        status=JobStatus.FAILED,
        source_type=SourceType.TASK,
        source_id="of another",
        parent=Parent(StepRef(job.job_id, "build"), 1),
        completed_at=watched.clock.now(),
        retry_of=job.job_id,
        retry_attempt=1,
        start_at=watched.clock.now(),
        killed=True,
    )
    watched.engine.jobs.create(changed)
    if is_held:
        rule = AclRule(users=("*",), workspace="shop", tasks=("ops/ship",), action=Access.RUN)
        watched.engine = replace(watched.engine, access=MemoryAccess())
        watched.engine.access.put_acl(Acl(default=Access.DENY, rules=(rule,)), None)
        with_callers(watched, guest=GUEST)
    watched.engine.connections.subscribe("c1", Topic(workspace="shop"))
    [message] = told(watched, job, changed)
    items = asked(watched, "/api/jobs")["items"]
    [entry] = [one for one in items if one["job_id"] == changed.job_id]
    assert message["job"] == entry
    assert entry["source_id"] == (None if is_held else "of another")


def test_steps_have_the_words_of_the_job_itself(watched):
    watched.publish()
    job_id = watched.execute()
    watched.token = None
    worker = watched.worker()
    watched.clock.tick(1)
    watched.complete(watched.claim(worker), output={"id": "7"})
    watched.complete(watched.claim(worker), error="it broke")
    watched.claim(worker)
    watched.clock.tick(60)
    watched.token = "guest"
    until = watched.clock.now().replace(year=2027)
    before = watched.engine.jobs.get(job_id)
    watched.engine.jobs.watch(job_id, until)
    watched.engine.connections.subscribe("c1", Topic(job_id=job_id))
    [message] = told(watched, before, watched.engine.jobs.get(job_id))
    detail = asked(watched, f"/api/jobs/{job_id}")
    assert message["job"] == {name: detail[name] for name in message["job"]}
    assert {"completed", "running"} < {row["status"] for row in detail["steps"]}
    rows = {row["step_name"]: row for row in detail["steps"] if row["status"] != "pending"}
    assert [step["step_name"] for step in message["steps"]] == list(rows)
    for step in message["steps"]:
        step.pop("attempt", None)
        assert step == {name: rows[step["step_name"]][name] for name in step}
