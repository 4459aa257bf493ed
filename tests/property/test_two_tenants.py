"""Two tenants do anything in any order, and never learn an id or a word of each other."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode

from chalice.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

import app as application
from chalicelib import wiring
from chalicelib.api.limits import limiter
from chalicelib.domain.acl import parse_acl
from tests.api.callers import a_key, a_user, with_callers
from tests.api.world import World, an_engine
from tests.fakes.clock import FakeClock

TENANTS = ("shop", "bank")
TEXT = """
actions:
  say: {{type: script, script: "true"}}
  part: {{type: task, task: small}}
  ask: {{type: approval, message: "word-of-{name}"}}
tasks:
  small: {{description: word-of-{name}, flow: {{a: {{action: say, for_each: [1, 2]}}}}}}
  over: {{folder: ops, flow: {{a: {{action: part}}, b: {{action: ask}}}}}}
triggers:
  word-of-{name}: {{type: scheduler, cron: "0 2 * * *", task: small}}
"""
TASKS = ("small", "over", "none")
ACTS = ("cancel", "pause", "resume", "rerun")
LOOKS = ("", "/logs", "/cost", "/steps/a/logs", "/steps/a/instances")
LISTS = (
    "/api/jobs?limit=1",
    "/api/jobs?cursor=&limit=2",
    "/api/jobs?search=bank",
    "/api/jobs?search=shop",
    "/api/jobs?workspace=bank",
    "/api/jobs?workspace=shop&task_name=small",
    "/api/jobs?status=cancelled",
    "/api/stats",
    "/api/tasks",
    "/api/workspaces",
    "/api/workers",
)

who = st.sampled_from(TENANTS)
where = st.sampled_from((*TENANTS, "none"))
pick = st.integers(0, 30)
operations = st.one_of(
    st.tuples(st.just("execute"), who, where, st.sampled_from(TASKS), pick),
    st.tuples(st.just("act"), who, pick, st.sampled_from(ACTS)),
    st.tuples(st.just("look"), who, pick, st.sampled_from(LOOKS)),
    st.tuples(st.just("approve"), who, pick, st.booleans()),
    st.tuples(st.just("list"), who, st.sampled_from(LISTS)),
    st.tuples(st.just("next"), who, pick),
    st.tuples(st.just("workspace"), who, where, st.sampled_from(("tasks", "triggers"))),
    st.tuples(st.just("task"), who, where, st.sampled_from(TASKS)),
    st.tuples(st.just("worker"), who),
    st.tuples(st.just("work"), st.booleans()),
)


class Town:
    """The API, two tenants of it, and everything that belongs to each."""

    def __init__(self, client, *, keys):
        limiter.forget()
        clock = FakeClock()
        world = World(an_engine(clock), clock, client)
        for name in TENANTS:
            assert world.publish(name, TEXT.format(name=name)).ok
        rules = [
            {"workspace": name, "action": "run", "users": [f"of-{name}@example.com"]}
            for name in TENANTS
        ]
        if not keys:
            world.engine.access.put_acl(parse_acl({"rules": rules}), None)
        people = {name: a_user(f"of-{name}") for name in TENANTS}
        if keys:
            people = {
                name: a_key(f"of-{name}", owner, workspaces=frozenset({name}))
                for name, owner in people.items()
            }
        self.world = with_callers(world, **people)
        self.worker = self.world.worker()
        self.cursors = []

    def jobs(self):
        return self.world.engine.jobs._jobs

    def words(self, tenant):
        ids = {job.job_id for job in self.jobs().values() if job.workspace == tenant}
        return ids | {f"word-of-{tenant}", f"of-{tenant}@"}

    def some_job(self, number):
        ids = sorted(self.jobs())
        return ids[number % len(ids)] if ids else "01890000-0000-7000-8000-000000000000"

    def do(self, kind, *how):
        if kind == "work":
            return self.work(*how)
        return getattr(self, f"do_{kind}")(*how)

    def work(self, ends):
        """Let the worker claim what there is, and report it or hold it."""
        self.world.token = None
        found = self.world.claim(self.worker)
        if found["job_id"] is None:
            return
        held = {"job_id": found["job_id"], "step_name": found["step_name"]}
        self.world.post("/worker/heartbeat", {"worker_id": self.worker, "running": [held]})
        if ends:
            self.world.complete(found)

    def do_execute(self, tenant, ws, task, number):
        body = {"source_job_id": self.some_job(number)} if number % 3 == 0 else {}
        key = {"Idempotency_Key": f"k{number}"} if number % 2 else {}
        self.ask(tenant, "POST", f"/api/workspaces/{ws}/tasks/{task}/execute", body, **key)

    def do_act(self, tenant, number, verb):
        self.ask(tenant, "POST", f"/api/jobs/{self.some_job(number)}/{verb}", {})

    def do_look(self, tenant, number, path):
        self.ask(tenant, "GET", f"/api/jobs/{self.some_job(number)}{path}")

    def do_approve(self, tenant, number, approved):
        path = f"/api/jobs/{self.some_job(number)}/steps/b/approve"
        self.ask(tenant, "POST", path, {"approved": approved})

    def do_list(self, tenant, path):
        self.ask(tenant, "GET", path)

    def do_next(self, tenant, number):
        """Go on in a list, with a cursor that may be the other's."""
        if self.cursors:
            cursor = self.cursors[number % len(self.cursors)]
            self.ask(tenant, "GET", f"/api/jobs?limit=1&cursor={cursor}")

    def do_workspace(self, tenant, ws, path):
        self.ask(tenant, "GET", f"/api/workspaces/{ws}/{path}")

    def do_task(self, tenant, ws, task):
        self.ask(tenant, "GET", f"/api/workspaces/{ws}/tasks/{task}")

    def do_worker(self, tenant):
        self.ask(tenant, "GET", f"/api/workers/{self.worker}")

    def ask(self, tenant, method, path, body=None, **headers):
        self.world.token = tenant
        sent = b"" if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **headers}
        answer = self.world._ask(method, path, sent, given)
        assert answer.status_code < 500, (method, path, answer.body)
        told = answer.body.decode() + json.dumps(dict(answer.headers))
        cursor = self.keep_cursor(answer)
        other = TENANTS[1 - TENANTS.index(tenant)]
        # Who asks with an id knows it already.
        for word in self.words(other):
            assert word in path + sent.decode() or word not in told + cursor, (word, method, path)
        if path.startswith(f"/api/workspaces/{other}/"):
            assert answer.status_code in (400, 404), (path, answer.status_code)

    def keep_cursor(self, answer):
        found = answer.json_body
        cursor = found.get("next_cursor") if isinstance(found, dict) else None
        if not cursor:
            return ""
        self.cursors.append(cursor)
        padded = cursor + "=" * (-len(cursor) % 4)
        return urlsafe_b64decode(padded).decode("latin-1")


@settings(max_examples=60)
@given(st.booleans(), st.lists(operations, min_size=5, max_size=40))
def test_whatever_two_tenants_do_they_learn_nothing_of_each_other(keys, todo):
    """By rules of the access list, and by what keys are held to."""
    try:
        with Client(application.app) as client:
            town = Town(client, keys=keys)
            for operation in todo:
                town.do(*operation)
    finally:
        wiring.use(None)
        limiter.forget()
