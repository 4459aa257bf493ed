"""Canaries: a secret in every place that may hold one, and then a look at all that was left.

Every item, message, object, answer and log line is searched for every spelling of every canary.
"""

import gzip
import json
import logging
import os
import re
from urllib.parse import quote
from uuid import uuid4

import pytest
from chalice.test import Client

import app as application
from chalicelib import settings, wiring
from chalicelib.auth.links import links_of
from chalicelib.auth.secret_cache import KeptSecrets
from chalicelib.auth.secret_references import AwsSecrets
from chalicelib.domain.disguises import disguises
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine.engine import Engine, Limits
from chalicelib.queue.sqs import SqsQueue
from chalicelib.runner.assigned import spec_of
from chalicelib.runner.run import run_step
from chalicelib.runner.spec import Cancel, Host
from chalicelib.store.blobs_s3 import S3Blobs
from chalicelib.store.jobs_table import JobsTable
from chalicelib.store.logs_table import LogsTable
from chalicelib.store.registry_table import RegistryTable
from chalicelib.store.slots_table import SlotsTable
from chalicelib.wiring import SystemClock, SystemIds, system_renderer
from chalicelib.workspaces.definitions import StoredDefinitions
from chalicelib.workspaces.publish import publish
from chalicelib.workspaces.tarball import unpack, unpack_to
from tests.api.world import World
from tests.contract.canaries import CANARY, FILES, REFERRED, SOPS, WRITTEN
from tests.contract.places import REGION
from tests.fakes.runner import RememberingSink
from workers.assignments import read_assignment

# What must hold secrets: values that a job was given or handed, and the workspace as written.
MAY_HOLD = {
    re.compile(r"jobs/.+/secret-input\.json"): {*WRITTEN, *REFERRED, "input"},
    re.compile(r"items/.+\.json"): {*WRITTEN, *REFERRED, "input"},
    re.compile(r"workspaces/.+/(definition\.json|files\.tar\.gz)"): {*WRITTEN},
}
# Whoever has a worker's token is given the files as they are written.
UNSAID = ("/worker/",)


class Watch:
    """Searches whatever it is shown; `found` says where what was seen."""

    def __init__(self):
        self.needles = {name: disguises([value]) for name, value in CANARY.items()}
        self.found = set()
        self.searched = 0

    def look(self, where, data, allowed=frozenset()):
        data = data if isinstance(data, bytes) else str(data).encode()
        self.searched += 1
        for name, spellings in self.needles.items():
            if name not in allowed and any(one in data for one in spellings):
                self.found.add((where, name))


class HeardQueue:
    """The queue, every message of which is looked at."""

    def __init__(self, inner, watch):
        self._inner, self._watch = inner, watch

    def send(self, *given):
        self._watch.look("queue", repr(given))
        return self._inner.send(*given)

    def __getattr__(self, name):
        return getattr(self._inner, name)


class Installation(World):
    """An installation over tables, queues and a bucket, with its worker beside it."""

    def __init__(self, place, folder, client):
        self.place, self.folder, self.watch = place, folder, Watch()
        self.tables = [place.table(f"{name}Table") for name in ("Jobs", "Registry", "Logs")]
        self.bucket = place.bucket()
        jobs, registry, logs = self.tables
        blobs, clock = S3Blobs(self.bucket, place.client("s3")), SystemClock()
        kept = RegistryTable(registry, REGION, place.host)
        queue = SqsQueue(place.queues("script"), place.client("sqs"))
        engine = Engine(
            jobs=JobsTable(jobs, REGION, place.host),
            slots=SlotsTable(jobs, REGION, place.host),
            registry=kept,
            logs=LogsTable(logs, REGION, place.host),
            blobs=blobs,
            queue=HeardQueue(queue, self.watch),
            clock=clock,
            ids=SystemIds(),
            definitions=StoredDefinitions(kept, blobs),
            renderer=system_renderer(),
            links=links_of(CANARY["link-key"] * 2, "https://stroem.example"),
            limits=Limits(),
            secrets=KeptSecrets(AwsSecrets(lambda service, _: place.client(service)), clock),
        )
        super().__init__(engine, clock, client, CANARY["worker-token"])
        self.session = None

    def plant(self):
        ssm, manager = self.place.client("ssm"), self.place.client("secretsmanager")
        ssm.put_parameter(Name="/prod/ssm", Value=CANARY["ssm"], Type="SecureString")
        document = json.dumps({"a": {"password": CANARY["manager"]}})
        manager.create_secret(Name="prod/manager", SecretString=document)
        s3 = self.place.client("s3")
        s3.create_bucket(Bucket="vault-of-canaries")
        s3.put_object(Bucket="vault-of-canaries", Key="object", Body=CANARY["object"].encode())
        files = {
            name: SourceFile(text.encode(), executable=name.endswith(".sh"))
            for name, text in FILES.items()
        }
        published = publish(self.engine, "shop", WorkspaceTree(files))
        assert published.ok, published.findings
        self.watch.look("findings", repr(published))
        self.revision = published.revision

    def start(self, task):
        path = f"/api/workspaces/shop/tasks/{task}/execute"
        answer = self.post(path, {"input": {"pass": CANARY["input"]}})
        assert answer.status_code == 200, answer.body
        self.watch.look("execute", answer.body)
        return answer.json_body["job_id"]

    def work(self):
        """Run what there is, through the HTTP API, as a worker does; return what ran."""
        self.session = self.session or self.worker()
        ran, wait_s = [], 0
        while True:
            body = {"worker_id": self.session, "capabilities": ["script"], "wait_s": wait_s}
            answer = self.post("/worker/jobs/claim", body)
            if answer.status_code == 422:
                self.watch.look("a claim that failed", answer.body)
                continue
            assert answer.status_code == 200, answer.body
            if answer.json_body.get("job_id") is None and wait_s:
                return ran
            if answer.json_body.get("job_id") is None:
                # What is tried again comes a second later.
                wait_s = 3
                continue
            wait_s = 0
            ran.append((answer.json_body["task_name"], answer.json_body["step_name"]))
            self._run(answer.json_body)
            self.dump()

    def _run(self, claimed):
        sink, workdir = RememberingSink(), self.folder / uuid4().hex
        assignment = read_assignment(claimed)
        self.watch.look("what an assignment shows of itself", repr(assignment.rendered))
        record = self.engine.registry.revision("shop", self.revision)
        unpack_to(self.engine.blobs.get(record.archive.key), workdir)
        host = Host(
            environ={
                "PATH": f"{self.folder / 'programs'}:{os.environ['PATH']}",
                "CANARY_VARIABLE": CANARY["variable"],
            },
            cache_dir=self.folder / "cache",
            clock=self.clock,
            secret_env=("CANARY_*",),
        )
        result = run_step(spec_of(assignment), workdir, sink, Cancel(), host)
        held = {"attempt": claimed["attempt"], "lease": claimed["lease"]}
        lines = [{"ts": "2026-11-21T12:00:00Z", "stream": s, "line": t} for s, t in sink.lines]
        job, step = f"/worker/jobs/{claimed['job_id']}", quote(claimed["step_name"], safe="")
        reports = [
            (
                f"{job}/logs",
                {"step_name": claimed["step_name"], "lines": lines, "first": 1},
            ),
            (
                f"{job}/steps/{step}/complete",
                {"output": result.output, "error": result.error, "worker_id": self.session},
            ),
        ]
        for path, body in reports:
            self.watch.look("a worker's report", json.dumps(body, ensure_ascii=False))
            answer = self.post(path, {**body, **held})
            assert answer.status_code == 200, answer.body

    def dump(self, may_hold=MAY_HOLD):
        """Look at every item and object that there is."""
        for table in self.tables:
            for page in (
                self.place.client("dynamodb").get_paginator("scan").paginate(TableName=table)
            ):
                for item in page["Items"]:
                    self.watch.look(f"{table[:15]} {item['sk']}", repr(item))
        s3 = self.place.client("s3")
        for row in s3.list_objects_v2(Bucket=self.bucket).get("Contents", ()):
            key = row["Key"]
            content = s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            allowed = set().union(*(a for known, a in may_hold.items() if known.fullmatch(key)))
            self.watch.look(f"object {key}", opened(key, content), allowed)

    def ask_everything(self, job_ids):
        """Ask every route that answers a GET, with every id that there is."""
        ids = {
            "ws": ["shop"],
            "workspace": ["shop"],
            "task": ["well", "badly", "torn", "nested", "handed", "asked"],
            "job_id": job_ids,
            "step": ["a", "b", "gate", "down", "loop", "far", "s", "_server"],
        }
        asked = 0
        for path, methods in application.app.routes.items():
            if "GET" not in methods or path.startswith(UNSAID):
                continue
            for full in filled(path, ids):
                answer = self.get(full)
                self.watch.look(f"GET {path}", answer.body)
                self.watch.look(f"GET {path} (headers)", repr(answer.headers))
                asked += answer.status_code == 200
        return asked


def filled(path, ids):
    names = re.findall(r"{(\w+)}", path)
    if not names:
        return [path]
    name = names[0]
    values = ids.get(name, ["none"])
    return [one for value in values for one in filled(path.replace(f"{{{name}}}", value, 1), ids)]


def opened(key, content):
    if not key.endswith(".gz"):
        return content
    if key.endswith(".tar.gz"):
        return b"\n".join(file.content for file in unpack(content).files.values())
    return gzip.decompress(content)


@pytest.fixture
def installation(moto, monkeypatch, tmp_path):
    monkeypatch.setenv("STROEM_WORKER_TOKEN", CANARY["worker-token"])
    settings.access.cache_clear()
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sops").write_text(SOPS)
    (programs / "sops").chmod(0o755)
    with Client(application.app) as client:
        made = Installation(moto, tmp_path, client)
        wiring.use(made.engine)
        made.plant()
        yield made
    wiring.use(None)
    settings.access.cache_clear()


def test_no_canary_is_found_where_it_must_not_be(installation, caplog):
    caplog.set_level(logging.INFO)
    for name in ("stroem", "workers", "chalicelib"):
        caplog.set_level(logging.DEBUG, logger=name)
    jobs = {
        task: installation.start(task) for task in ("well", "badly", "torn", "nested", "asked")
    }
    ran = installation.work()
    assert {("well", "a"), ("well", "b"), ("badly", "a"), ("handed", "s")} <= set(ran)
    answer = installation.post(f"/api/jobs/{jobs['asked']}/steps/gate/approve", {"approved": True})
    assert answer.status_code == 200, answer.body
    for task in ("well", "badly"):
        again = installation.post(f"/api/jobs/{jobs[task]}/rerun", {})
        assert again.status_code == 200, again.body
        installation.watch.look("rerun", again.body)
    installation.work()
    rows = installation.get("/api/jobs?limit=100").json_body
    known = [row["job_id"] for row in (rows if isinstance(rows, list) else rows["items"])]
    statuses = {task: installation.engine.jobs.get(job).status.value for task, job in jobs.items()}
    assert statuses == {
        "well": "completed",
        "badly": "failed",
        "torn": "failed",
        "nested": "completed",
        "asked": "completed",
    }
    assert len(known) > 12
    assert installation.ask_everything(known) > 50
    installation.dump()
    for record in caplog.records:
        installation.watch.look("python log", f"{record.getMessage()} {record.__dict__!r}")
    assert sorted(installation.watch.found) == []
    assert installation.watch.searched > 500


def test_a_canary_that_escaped_would_be_found(installation):
    """The same search sees what must hold secrets, so it is not blind."""
    installation.start("well")
    open_watch = installation.watch
    installation.dump(may_hold={})
    found = {(where.rpartition("/")[2], name) for where, name in open_watch.found}
    assert ("secret-input.json", "input") in found
    assert {name for where, name in found if where == "files.tar.gz"} == set(WRITTEN)
    assert {name for where, name in found if where == "definition.json"} == set(WRITTEN)
