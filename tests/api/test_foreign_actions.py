"""Actions of other workspaces, over the API: bound when a job is made, run as their owner's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chalicelib import wiring
from chalicelib.domain.origins import Holder, Source, SourceKind, SourceRecord
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.worker_groups import Scope
from chalicelib.engine.foreign import serves
from chalicelib.store.memory_sources import MemorySources
from chalicelib.workspaces.publish import publish
from chalicelib.workspaces.tarball import unpack
from tests.api.world import problem_in

JOBS_SECRET = "of-the-jobs-workspace"
OWNER = """
secrets: {API: %s}
connection_types:
  db: {host: {type: string}}
connections:
  main: {type: db, host: db.jobs.example}
actions:
  recalc:
    type: script
    source: scripts/recalc.sh
    env: {TOKEN: "{{ secret.API }}", HOST: "{{ input.into.host }}", DAY: "{{ input.day }}"}
    input: {day: {type: string}, into: {type: db, default: main}}
    retry: {max_attempts: 2, delay: 1s}
    tags: [%s]
  nested: {type: task, task: other}
tasks:
  other: {flow: {only: {action: recalc, input: {day: x}}}}
"""
CALLER = """
secrets: {API: of-the-caller}
connections:
  main: {host: db.caller.example}
tasks:
  daily:
    input: {day: {type: string, default: monday}}
    flow:
      run: {action: jobs.recalc, input: {day: "{{ input.day }} {{ secret.API }}"}}
      own: {type: script, script: "echo {{ secret.API }}", depends_on: [run]}
  child:
    flow:
      call: {type: task, task: daily}
"""


def publish_owner(world, secret=JOBS_SECRET, tag="", name="jobs", script=b"echo $TOKEN"):
    files = {
        "jobs.yaml": SourceFile((OWNER % (secret, tag)).encode()),
        "scripts/recalc.sh": SourceFile(script, executable=True),
    }
    published = publish(world.engine, name, WorkspaceTree(files))
    assert published.ok, published.findings
    return published.revision


def start(world, task="daily", given=None):
    return world.execute(task, ws="caller", given=given)


def test_a_step_runs_with_the_files_secrets_and_connections_of_the_owner(world):
    revision = publish_owner(world)
    world.publish("caller", CALLER)
    job_id = start(world)
    claimed = world.claim(world.worker())
    assert (claimed["workspace"], claimed["revision"]) == ("jobs", revision)
    assert claimed["action_name"] == "jobs.recalc"
    assert claimed["action_spec"]["source"] == "scripts/recalc.sh"
    assert claimed["action_spec"]["env"] == {
        "TOKEN": JOBS_SECRET,
        "HOST": "db.jobs.example",
        "DAY": "monday of-the-caller",
    }
    assert {JOBS_SECRET, "of-the-caller"} <= set(claimed["secrets"])
    archive = world.get(f"/worker/workspace/jobs.tar.gz?revision={revision}")
    assert unpack(archive.body).files["scripts/recalc.sh"].content == b"echo $TOKEN"
    assert job_id == claimed["job_id"]


def test_the_next_step_is_the_callers_own_again(world):
    publish_owner(world)
    world.publish("caller", CALLER)
    start(world)
    worker = world.worker()
    world.complete(world.claim(worker))
    own = world.claim(worker)
    assert own["workspace"] == "caller"
    assert own["action_spec"]["script"] == "echo of-the-caller"
    assert JOBS_SECRET in own["secrets"]


def test_the_job_shows_whose_action_runs_and_hides_the_owners_secrets(world):
    revision = publish_owner(world)
    world.publish("caller", CALLER)
    job_id = start(world)
    world.complete(world.claim(world.worker()), output={"said": JOBS_SECRET})
    shown = world.get(f"/api/jobs/{job_id}").json_body
    run, own = shown["steps"]
    assert (run["action_workspace"], run["action_revision"]) == ("jobs", revision)
    assert "action_workspace" not in own
    assert JOBS_SECRET not in json.dumps(shown)


def test_a_job_keeps_the_revision_that_it_was_made_with(world):
    before = publish_owner(world)
    world.publish("caller", CALLER)
    start(world)
    after = publish_owner(world, script=b"echo other")
    assert after != before
    assert world.claim(world.worker())["revision"] == before


def test_a_rerun_keeps_the_revision_and_one_on_the_newest_renews_it(world):
    before = publish_owner(world)
    world.publish("caller", CALLER)
    job_id = start(world)
    worker = world.worker()
    for _ in range(2):
        world.complete(world.claim(worker))
    after = publish_owner(world, script=b"echo other")
    for body, expected in (({}, before), ({"revision": "newest"}, after)):
        again = world.post(f"/api/jobs/{job_id}/rerun", body)
        assert again.status_code < 300, again.body
        claimed = world.claim(worker)
        assert claimed["revision"] == expected
        world.complete(claimed)
        world.complete(world.claim(worker))


def test_a_sub_job_has_the_pins_of_its_parent(world):
    before = publish_owner(world)
    world.publish("caller", CALLER)
    start(world, "child")
    publish_owner(world, script=b"echo other")
    claimed = world.claim(world.worker())
    assert (claimed["task_name"], claimed["revision"]) == ("daily", before)


def test_the_pool_is_that_of_the_owners_action(world):
    publish_owner(world, tag="gpu")
    world.publish("caller", CALLER)
    start(world)
    assert world.claim(world.worker())["job_id"] is None
    body = {"name": "g", "capabilities": ["script"], "tags": ["gpu"], "exclusive": False}
    tagged = world.post("/worker/register", body).json_body["worker_id"]
    assert world.claim(tagged)["workspace"] == "jobs"


def test_the_owners_retry_is_the_steps(world):
    publish_owner(world)
    world.publish("caller", CALLER)
    job_id = start(world)
    world.complete(world.claim(world.worker()), error="no")
    run = world.get(f"/api/jobs/{job_id}").json_body["steps"][0]
    assert (run["status"], run["max_retries"]) == ("ready", 1)


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("nowhere.recalc", "there is no workspace or library 'nowhere'"),
        ("jobs.nothing", "it has no action 'nothing'"),
        ("jobs.nested", "is of type task, which only its own flows can use"),
        ("empty.recalc", "workspace 'empty' has no valid revision yet"),
        ("a/b.recalc", "there is no workspace or library 'a/b'"),
    ],
)
def test_what_cannot_be_resolved_makes_no_job(world, action, why):
    publish_owner(world)
    world.publish("empty", "tasks: [")
    world.publish("caller", f"tasks: {{daily: {{flow: {{run: {{action: {action}}}}}}}}}")
    answer = world.post("/api/workspaces/caller/tasks/daily/execute", {"input": {}})
    assert why in problem_in(answer, 400, "invalid")["detail"]
    shown = world.get("/api/workspaces/caller/tasks/daily").json_body
    assert why in shown["unsupported"][0]
    assert world.get("/api/jobs").json_body["items"] == []


def test_a_hook_cannot_take_the_action_of_another_workspace(world):
    publish_owner(world)
    hooked = CALLER + "on_success: [{action: jobs.recalc}]\n"
    world.publish("caller", hooked)
    job_id = start(world)
    worker = world.worker()
    for _ in range(2):
        world.complete(world.claim(worker))
    notes = world.get(f"/api/jobs/{job_id}").json_body["notes"]
    assert any("only steps of flows can use it" in note["text"] for note in notes)


def test_a_worker_that_does_not_serve_the_owner_gets_no_step_of_it(world):
    publish_owner(world)
    world.publish("caller", CALLER)
    job = world.engine.jobs.get(start(world))
    only_caller = Scope(pools=None, workspaces=("caller",))
    assert not serves(world.engine, only_caller, job, "run")
    assert serves(world.engine, only_caller, job, "own")
    assert serves(world.engine, Scope(pools=None, workspaces=("caller", "jobs")), job, "run")
    assert not serves(world.engine, Scope(pools=None, workspaces=("jobs",)), job, "run")


def test_an_owner_lends_its_actions_only_to_those_that_it_names(world):
    publish_owner(world)
    world.publish("caller", CALLER)
    source = Source(kind=SourceKind.PUSH, lent_to=("team-*",))
    sources = MemorySources()
    sources.put(SourceRecord(holder=Holder.WORKSPACE, name="jobs", source=source), None)
    wiring.use(replace(world.engine, sources=sources))
    answer = world.post("/api/workspaces/caller/tasks/daily/execute", {"input": {}})
    detail = problem_in(answer, 400, "invalid")["detail"]
    assert "there is no workspace or library 'jobs'" in detail
