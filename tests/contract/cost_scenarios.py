"""Jobs of the budget: each is run to its end by real use cases, and what they used is counted.

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
from chalicelib.domain.cost_facts import Mode
from chalicelib.domain.costs import GB_S_PER_REQUEST, ORDERS_S, cost_lines, total
from chalicelib.domain.logs import LogLine
from chalicelib.domain.prices import Meter
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.worker import HEARTBEAT_S
from chalicelib.engine import advance, jobs, recovery
from chalicelib.engine.engine import Engine
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.loops import with_instances
from chalicelib.engine.queries_costs import facts_of
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

WORKSPACE = "shop"
_MOMENT_S = 0.01
_TABLES = ("JobsTable", "RegistryTable", "LogsTable", "ConnectionsTable")


def _chain(length, *, reading=False):
    steps = {}
    for number in range(length):
        step = {"action": "act"}
        if number:
            step["depends_on"] = [f"s{number - 1}"]
            if reading:
                step["input"] = {"n": f"{{{{ s{number - 1}.output.n }}}}"}
        steps[f"s{number}"] = step
    return steps


def _fan_out(width):
    around = {f"s{number}": {"action": "act", "depends_on": ["first"]} for number in range(width)}
    return {
        "first": {"action": "act"},
        **around,
        "join": {"action": "act", "depends_on": [*around]},
    }


FLOWS = {
    "one": {"only": {"action": "act"}},
    "chain": _chain(10),
    "reading": _chain(10, reading=True),
    "fan": _fan_out(10),
    "again": {"only": {"action": "act", "retry": {"max_attempts": 2, "delay": "30s"}}},
    "two": _chain(2),
    "when": {"only": {"action": "act", "when": "yes"}},
    "skip": {"only": {"action": "act", "when": "false"}},
    "loop": {"all": {"action": "act", "for_each": [*range(20)]}},
    "behind": {
        "first": {"action": "act"},
        "all": {"action": "act", "for_each": [*range(3)], "depends_on": ["first"]},
        "last": {"action": "act", "depends_on": ["all"]},
    },
    "sequence": {"all": {"action": "act", "for_each": [*range(5)], "sequential": True}},
}


@dataclass(frozen=True)
class Scenario:
    """A task, how many steps it has, and how they go; `seconds` is how long each runs."""

    task: str
    steps: int
    mode: Mode = Mode.DIRECT
    fails_first: bool = False
    fails: bool = False
    cancelled: bool = False
    output: object = None
    lines: int = 0
    seconds: int = 0


SCENARIOS = {
    "one step": Scenario("one", 1),
    "one step that fails": Scenario("one", 1, fails=True),
    "one step with a large output": Scenario("one", 1, output={"text": "x" * 5000}),
    "one step of five minutes": Scenario("one", 1, seconds=300),
    "one retry": Scenario("again", 1, fails_first=True),
    "a chain of 10": Scenario("chain", 10, output={"n": 1}),
    "a chain of 10 that reads outputs": Scenario("reading", 10, output={"n": 1}),
    "10 steps with logs": Scenario("chain", 10, lines=20),
    "a fan-out of 10 with a join": Scenario("fan", 12),
    "a cancelled job": Scenario("two", 2, cancelled=True),
    "one step with a condition": Scenario("when", 1),
    "one step that is skipped": Scenario("skip", 1),
    "a loop of 20": Scenario("loop", 20),
    "a loop between two steps": Scenario("behind", 5),
    "a loop of 5 in sequence": Scenario("sequence", 5),
    "one step behind the API": Scenario("one", 1, mode=Mode.HTTP),
    "one step of five minutes behind the API": Scenario("one", 1, seconds=300, mode=Mode.HTTP),
    "a chain of 10 behind the API": Scenario("chain", 10, mode=Mode.HTTP, output={"n": 1}),
}


@dataclass
class Bench:
    """An engine over moto's tables, with everything that is billed under a meter."""

    engine: Engine
    clock: FakeClock
    tables: TableMeter
    job_id: str = ""
    requests: Counter = field(default_factory=Counter)

    def run(self, scenario):
        """Run a job to its end; return what it used."""
        worker = (Direct if scenario.mode is Mode.DIRECT else Http)(self)
        worker.sign_on()
        self._forget()
        with self.tables.watching():
            self.ask()
            job = jobs.create(self.engine, JobRequest(workspace=WORKSPACE, task=scenario.task))
            self.job_id = job.job_id
            while not self._has_ended():
                worker.work(scenario)
                self.clock.tick(40 if scenario.fails_first else 1)
        return self._counted()

    def predicted(self, mode):
        """Return what the model says, from the records of the job that was run."""
        state = with_instances(self.engine, self.engine.jobs.load(self.job_id))
        return total(cost_lines(facts_of(self.engine, state, mode)))

    def ask(self):
        """Note a request to the API: a Lambda invocation each, as long as the model says."""
        self.requests[Meter.REQUESTS] += 1
        self.requests[Meter.INVOCATIONS] += 1
        self.requests[Meter.COMPUTE] += GB_S_PER_REQUEST

    def cancel(self):
        self.ask()
        advance.cancel(self.engine, self.job_id)

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
            due = self.engine.jobs.due(self.clock.now(), 1)
        for job_id in due:
            recovery.look(self.engine, job_id)

    def _has_ended(self):
        with self.tables.paused():
            return self.engine.jobs.get(self.job_id).due is None

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
        if scenario.cancelled:
            self._bench.cancel()
        failed = scenario.fails or (scenario.fails_first and hold.attempt == 1)
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
        hello = {"name": "worker-1", "capabilities": ["script"], "tags": [], "exclusive": False}
        self._id = self._post("/worker/register", hello)["worker_id"]

    def work(self, scenario):
        asked = {"worker_id": self._id, "capabilities": ["script"], "tags": [], "exclusive": False}
        found = self._post("/worker/jobs/claim", asked)
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


def a_bench(place):
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
    assert publish(engine, WORKSPACE, _tree(), None).ok
    revision = engine.registry.workspace(WORKSPACE).revision
    engine.definitions.load(WORKSPACE, revision)
    resources = {name: resource for resource, name in names.items()}
    meter = TableMeter(connection(REGION, None).client, place.client("dynamodb"), resources)
    return Bench(engine, clock, meter)


def _tree():
    definition = {
        "actions": {"act": {"type": "script", "script": "true"}},
        "tasks": {name: {"flow": flow} for name, flow in FLOWS.items()},
    }
    # JSON is YAML.
    return WorkspaceTree({"shop.yaml": SourceFile(json.dumps(definition).encode())})


def _settings(names):
    tables = {f"STROEM_{name.removesuffix('Table').upper()}_TABLE": names[name] for name in names}
    rest = {"STROEM_BUCKET": "none", "STROEM_QUEUE_PREFIX": "none", "AWS_REGION": REGION}
    return from_environment({**tables, **rest})
