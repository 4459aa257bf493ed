"""Runs the jobs of the budget to their end by real use cases, and counts what they used.

The clock moves a moment between the moves, as it would: the model orders attempts by their times.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

from chalice.test import Client

import app as application
from chalicelib import wiring
from chalicelib.domain.approvals import Answer
from chalicelib.domain.cost_facts import Mode
from chalicelib.domain.cost_steps import GB_S_PER_REQUEST
from chalicelib.domain.costs import ORDERS_S, cost_lines, total
from chalicelib.domain.logs import LogLine
from chalicelib.domain.prices import Meter
from chalicelib.domain.reruns import StartFrom
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.worker import HEARTBEAT_S
from chalicelib.engine import advance, answers, jobs, pausing, recovery, reruns
from chalicelib.engine.engine import Engine
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.loops import with_instances
from chalicelib.engine.ports import JobFilter
from chalicelib.engine.queries_costs import facts_of
from chalicelib.engine.reruns import RerunRequest
from chalicelib.engine.steps import Outcome
from chalicelib.engine.workers import Hello
from chalicelib.queue.memory import MemoryQueue
from chalicelib.settings import from_environment
from chalicelib.store.dynamo import connection
from chalicelib.store.memory import MemoryBlobs
from chalicelib.workspaces.definitions import StoredDefinitions
from chalicelib.workspaces.publish import publish
from tests.contract.cost_meter import CountedBlobs, CountedQueue, TableMeter
from tests.contract.places import REGION
from tests.fakes.clock import FakeClock
from tests.fakes.ids import SeededIds
from workers.control_direct import DirectControl

NAME = "shop"
_MOMENT_S = 0.01
# Longer than any retry of a scenario waits.
_RETRY_S = 40
# Whatever the sweep is to look at is due then.
_SWEPT_S = 120
_ROUNDS = 100
_HELLO = {"name": "worker-1", "capabilities": ["script"], "tags": [], "exclusive": False}
_TABLES = ("JobsTable", "RegistryTable", "LogsTable", "ConnectionsTable")


@dataclass
class Bench:
    """An engine over moto's tables, with everything that is billed under a meter."""

    engine: Engine
    clock: FakeClock
    tables: TableMeter
    requests: Counter = field(default_factory=Counter)
    begun: int = 0
    _earlier: set = field(default_factory=set)
    _done: set = field(default_factory=set)

    def run(self, scenario):
        """Run the scenario's jobs to their end; return what they used."""
        worker = (Direct if scenario.mode is Mode.DIRECT else Http)(self)
        worker.sign_on()
        self._forget()
        with self.tables.watching():
            for _ in range(scenario.jobs):
                self.ask()
                request = JobRequest(workspace=NAME, task=scenario.task)
                jobs.create(self.engine, request)
                self.clock.tick(_MOMENT_S)
            self._work_off(worker, scenario)
            if scenario.after is not None:
                self._earlier = set(self.job_ids())
                self._forget()
                scenario.after(self)
                self._work_off(worker, scenario)
        return self._counted()

    def predicted(self, mode):
        """Return what the model says, from the records of the jobs that were run."""
        lines = ()
        for job_id in set(self.job_ids()) - self._earlier:
            state = with_instances(self.engine, self.engine.jobs.load(job_id))
            lines += cost_lines(facts_of(self.engine, state, mode))
        return total(lines)

    def job_ids(self):
        with self.tables.paused():
            found = self.engine.jobs.page(JobFilter(workspaces=(NAME,)), None, 100)
        return [job.job_id for job in found]

    def once(self, act):
        """Do what a scenario does once, if it was not done; say whether it was now."""
        if act is None or act in self._done:
            return False
        self._done.add(act)
        act(self)
        self.clock.tick(_MOMENT_S)
        return True

    def answer(self, step):
        self.ask()
        answers.answer(self.engine, self._newest(), step, Answer(approved=True, by="api"))

    def pause(self):
        self.ask()
        pausing.pause(self.engine, self._newest())

    def resume(self):
        self.ask()
        pausing.resume(self.engine, self._newest())

    def run_again(self):
        self.ask()
        wanted = RerunRequest(job_id=self._newest(), start=StartFrom.FAILED)
        reruns.rerun(self.engine, wanted)

    def sweep_later(self):
        self.clock.tick(_SWEPT_S)
        self._sweep()

    def _newest(self):
        return self.job_ids()[0]

    def _work_off(self, worker, scenario):
        for _ in range(_ROUNDS):
            if self._has_ended():
                return
            has_worked = worker.work(scenario) or self.once(scenario.idle)
            self.clock.tick(1 if has_worked else _RETRY_S)
        raise AssertionError("the jobs do not come to their end")

    def ask(self):
        """Note a request to the API: a Lambda invocation each, as long as the model says."""
        self.requests[Meter.REQUESTS] += 1
        self.requests[Meter.INVOCATIONS] += 1
        self.requests[Meter.COMPUTE] += GB_S_PER_REQUEST

    def cancel(self):
        self.ask()
        advance.cancel(self.engine, self._newest())

    def pass_time(self, seconds, beat, orders):
        """Let the step run, its worker be heard, and the sweep come when the job is due."""
        self.clock.tick(_MOMENT_S)
        for second in range(1, seconds + 1):
            self.clock.tick(1)
            if second % ORDERS_S == 0:
                orders()
            if second % HEARTBEAT_S == 0:
                beat()
                self._sweep()

    def _sweep(self):
        with self.tables.paused():
            due = self.engine.jobs.due(self.clock.now(), 10)
        for job_id in due:
            recovery.look(self.engine, job_id)

    def _has_ended(self):
        with self.tables.paused():
            return all(self.engine.jobs.get(one).due is None for one in self.job_ids())

    def _forget(self):
        self.requests.clear()
        for counted in (self.tables, self.engine.queue, self.engine.blobs):
            counted.used.clear()

    def _counted(self):
        ports = (self.tables.used, self.engine.queue.used, self.engine.blobs.used)
        counted = sum((Counter(one) for one in (*ports, self.requests)), start=Counter())
        return {meter: round(counted[meter], 6) for meter in Meter if counted[meter]}


class Direct:
    """A trusted worker of ten slots, which goes on with the next step of a chain by itself."""

    def __init__(self, bench):
        self._bench = bench
        self._control = DirectControl(bench.engine)

    def sign_on(self):
        self._control.register(Hello(name="worker-1", capabilities=("script",)))

    def work(self, scenario):
        taken = [offer() for offer in self._control.offers("script", 0, 10)]
        for assignment in taken:
            following = assignment
            while following is not None:
                following = self._run(following, scenario)
        return bool(taken)

    def _run(self, assignment, scenario):
        hold = assignment.hold
        running = [hold.ref]
        self._bench.pass_time(
            scenario.seconds,
            lambda: self._control.heartbeat(running),
            lambda: self._control.orders(running),
        )
        if scenario.lines:
            line = LogLine(self._bench.clock.now(), "stdout", hold.ref.step, "built")
            self._control.append(hold, 1, [line] * scenario.lines)
        self._bench.once(scenario.during)
        self._bench.begun += 1
        failed = self._bench.begun in scenario.failing
        outcome = Outcome(
            error="exit code 1" if failed else None,
            output=scenario.output,
            cancelled=scenario.cancelled,
        )
        following = self._control.complete(hold, outcome, go_on=True)
        self._bench.clock.tick(_MOMENT_S)
        return following


class Http:
    """A worker with a token: each thing that it says is a request."""

    def __init__(self, bench):
        self._bench = bench

    def sign_on(self):
        answer = self._post("/worker/register", _HELLO)
        self._asked = {**_HELLO, "worker_id": answer["worker_id"], "pools": ["script"]}
        self._id = answer["worker_id"]

    def work(self, scenario):
        found = self._post("/worker/jobs/claim", self._asked)
        has_worked = found is not None
        while found is not None:
            names = {"job_id": found["job_id"], "step_name": found["step_name"]}
            said = {"worker_id": self._id, "running": [names]}
            self._bench.pass_time(
                scenario.seconds,
                partial(self._post, "/worker/heartbeat", said, is_billed=False),
                partial(self._post, "/worker/orders", said),
            )
            body = {
                "output": scenario.output,
                "attempt": found["attempt"],
                "lease": found["lease"],
                "worker_id": self._id,
                "next": True,
            }
            path = f"/worker/jobs/{found['job_id']}/steps/{found['step_name']}/complete"
            found = self._post(path, body).get("next")
            self._bench.clock.tick(_MOMENT_S)
        return has_worked

    def _post(self, path, body, *, is_billed=True):
        # A heartbeat is the worker's, whatever it runs.
        if is_billed:
            self._bench.ask()
        wiring.use(self._bench.engine)
        try:
            with Client(application.app) as client:
                headers = {"Content-Type": "application/json"}
                answer = client.http.post(path, headers=headers, body=json.dumps(body).encode())
        finally:
            wiring.use(None)
        assert answer.status_code == 200, answer.body
        return answer.json_body


def a_bench(place, definition, *, counts_registry=False):
    """Return a bench over new tables, with the workspace published and kept in memory."""
    names = {resource: place.table(resource) for resource in _TABLES}
    clock = FakeClock()
    blobs = CountedBlobs(MemoryBlobs())
    built = wiring.build(_settings(names))
    engine = replace(
        built,
        blobs=blobs,
        queue=CountedQueue(MemoryQueue(clock)),
        clock=clock,
        ids=SeededIds(),
        definitions=StoredDefinitions(built.registry, blobs),
    )
    assert publish(engine, NAME, _tree(definition), None).ok
    revision = engine.registry.workspace(NAME).revision
    engine.definitions.load(NAME, revision)
    resources = {name: resource for resource, name in names.items()}
    clients = (connection(REGION, None).client, place.client("dynamodb"))
    meter = TableMeter(*clients, resources, counts_registry=counts_registry)
    return Bench(engine, clock, meter)


def _tree(definition):
    # JSON is YAML.
    return WorkspaceTree({"shop.yaml": SourceFile(json.dumps(definition).encode())})


def _settings(names):
    tables = {f"STROEM_{name.removesuffix('Table').upper()}_TABLE": names[name] for name in names}
    rest = {"STROEM_BUCKET": "none", "STROEM_QUEUE_PREFIX": "none", "AWS_REGION": REGION}
    return from_environment({**tables, **rest})
