"""The API over an engine in memory: a clock that stands, ids that repeat, one small workspace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from chalice.test import Client

from chalicelib.auth.links import NoLinks
from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.template import Functions, Renderer
from chalicelib.engine.engine import Engine
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_access import MemoryAccess
from chalicelib.store.memory_audit import MemoryAudit
from chalicelib.store.memory_connections import MemoryConnections
from chalicelib.store.memory_deliveries import MemoryDeliveries
from chalicelib.store.memory_event_sources import MemoryEventSources
from chalicelib.store.memory_jobs import MemoryJobs
from chalicelib.store.memory_schedules import MemoryBackfills, MemorySchedules
from chalicelib.store.memory_slots import MemorySlots
from chalicelib.store.memory_sources import MemorySources
from chalicelib.store.memory_webhooks import MemoryWebhooks
from chalicelib.store.memory_worker_groups import MemoryWorkerGroups
from chalicelib.workspaces.definitions import StoredDefinitions
from chalicelib.workspaces.publish import publish
from tests.fakes.clock import FakeClock
from tests.fakes.ids import SeededIds
from tests.fakes.outside import FakeTopics, FakeWeb
from tests.fakes.pushes import FakePushes

NOON_TEXT = "2026-11-21T12:00:00.000000Z"
SECRET = "hunter2-of-the-shop"
LIVE = "wss://stroem.example/ws"

SHOP = f"""
secrets:
  API: {SECRET}
  short: abc
connection_types:
  db: {{host: {{type: string}}}}
connections:
  main: {{type: db, host: db.example}}
actions:
  say:
    type: script
    script: "echo {{{{ input.text | quote }}}}"
    input: {{text: {{type: string}}}}
tasks:
  ship:
    name: Ship it
    description: Builds and ships
    folder: ops
    input:
      version: {{type: string, required: true}}
      password: {{type: string, secret: true, default: letmein}}
      into: {{type: db, default: main}}
    flow:
      build: {{action: say, input: {{text: "{{{{ input.version }}}}"}}}}
      check:
        action: say
        depends_on: [build]
        input: {{text: "{{{{ build.output.id }}}}"}}
        retry: {{max_attempts: 2, delay: 5s}}
        timeout: 60s
      pack: {{action: say, depends_on: [build], input: {{text: box}}, continue_on_failure: true}}
  one:
    flow:
      only: {{action: say, input: {{text: hello}}}}
  torn:
    flow:
      only: {{action: say, input: {{text: "{{{{ throw(message='torn') }}}}"}}}}
  gate:
    flow:
      ask: {{type: docker, image: alpine}}
triggers:
  nightly: {{type: scheduler, cron: "0 2 * * *", task: ship, input: {{version: night}}}}
  off: {{type: scheduler, cron: "0 3 * * *", timezone: Europe/Paris, task: one, enabled: false}}
  push: {{type: webhook, name: push, task: one, secret: "{{{{ secret.API }}}}"}}
"""


def a_tree(text=SHOP, name="shop.yaml"):
    return WorkspaceTree({name: SourceFile(text.encode())})


def an_engine(clock=None):
    clock = clock or FakeClock()
    registry, blobs = MemoryRegistry(), MemoryBlobs()
    return Engine(
        jobs=MemoryJobs(),
        slots=MemorySlots(),
        registry=registry,
        logs=MemoryLogs(),
        blobs=blobs,
        queue=MemoryQueue(clock),
        clock=clock,
        ids=SeededIds(),
        definitions=StoredDefinitions(registry, blobs),
        links=NoLinks(),
        renderer=Renderer(Functions(now=clock.now, random_int=lambda low, high: low)),
        access=MemoryAccess(),
        schedules=MemorySchedules(),
        backfills=MemoryBackfills(),
        sources=MemorySources(),
        worker_groups=MemoryWorkerGroups(),
        event_sources=MemoryEventSources(),
        audit=MemoryAudit(),
        webhooks=MemoryWebhooks(),
        deliveries=MemoryDeliveries(),
        web=FakeWeb(),
        topics=FakeTopics(),
        connections=MemoryConnections(clock.now),
        pushes=FakePushes(),
    )


@dataclass
class World:
    """The API's client beside the engine that answers it."""

    engine: Engine
    clock: FakeClock
    client: Client
    token: str | None = None

    def publish(self, name="shop", text=SHOP, source=None):
        return publish(self.engine, name, a_tree(text), source)

    def get(self, path, **headers):
        return self._ask("GET", path, b"", headers)

    def post(self, path, body=None, **headers):
        given = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return self._ask("POST", path, given, {"Content-Type": "application/json", **headers})

    def put(self, path, body=None, **headers):
        given = json.dumps(body or {}).encode()
        return self._ask("PUT", path, given, {"Content-Type": "application/json", **headers})

    def delete(self, path, **headers):
        return self._ask("DELETE", path, b"", headers)

    def execute(self, task="ship", *, ws="shop", given=None, **headers):
        given = {"version": "1.2"} if given is None and task == "ship" else given or {}
        path = f"/api/workspaces/{ws}/tasks/{task}/execute"
        return self.post(path, {"input": given}, **headers).json_body["job_id"]

    def worker(self, name="w1"):
        body = {"name": name, "capabilities": ["script"], "tags": [], "exclusive": False}
        return self.post("/worker/register", body).json_body["worker_id"]

    def claim(self, worker, **more):
        body = {"worker_id": worker, "capabilities": ["script"], "tags": [], "exclusive": False}
        return self.post("/worker/jobs/claim", {**body, **more}).json_body

    def complete(self, claimed, **body):
        job, step = claimed["job_id"], quote(claimed["step_name"], safe="")
        return self.post(f"/worker/jobs/{job}/steps/{step}/complete", body)

    def _ask(self, method, path, body, headers):
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.http.request(method, path, headers=named, body=body)


def problem_in(answer, status, code):
    """Check that the answer is a whole problem document; return it without the changing parts."""
    assert answer.status_code == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json_body
    assert body.pop("request_id") == answer.headers["X-Request-Id"] != ""
    assert body.pop("type") == f"urn:stroem:problem:{code}"
    assert body.pop("status") == status
    assert body.pop("code") == code
    assert body.pop("title")
    assert body["detail"] == body.pop("error")
    return body


def a_row(world, job_id, **given):
    return {
        "job_id": job_id,
        "workspace": "shop",
        "task_name": "ship",
        "mode": "distributed",
        "status": "pending",
        "source_type": "api",
        "source_id": None,
        "revision": world.engine.registry.workspace("shop").revision,
        "created_at": NOON_TEXT,
        "started_at": None,
        "completed_at": None,
        "retry_of_job_id": None,
        "retry_job_id": None,
        "retry_attempt": 0,
        "max_retries": None,
        "source_job_id": None,
        "restart_from_step": None,
        "paused": False,
        "killed": False,
        "priority": "normal",
        "depth": 0,
        "start_at": None,
        "deadline": None,
        **given,
    }


def run_one(world, **outcome):
    """Run a job of the task `one` to its end; return its id."""
    job_id = world.execute("one")
    assert world.complete(world.claim(world.worker()), **outcome).status_code == 200
    return job_id


class Down:
    """A collaborator that never answers."""

    def __getattr__(self, name):
        def fail(*args, **given):
            raise UnavailableError("the table did not answer")

        return fail
