"""What watching uses, counted: viewers come, stay, are told and leave, over the real tables.

What happens goes the way that it goes when deployed: through the functions that Lambda calls, and
through the filters of the template from the streams of the tables.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace

from chalice.test import Client

import app as application
from chalicelib import wiring
from chalicelib.auth.tokens import UserTokens
from chalicelib.domain.cost_watching import GB_S_PER_INVOCATION
from chalicelib.domain.live import (
    CONNECTION_FOR,
    WATCHED_FOR,
    Connection,
    Identity,
    Mode,
    Topic,
)
from chalicelib.domain.logs import LogLine
from chalicelib.domain.prices import Meter
from chalicelib.engine import accounts, jobs, watching
from chalicelib.engine.access_kept import KeptAccess
from chalicelib.engine.accounts import NewUser
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.live import messages, tickets
from chalicelib.engine.steps import Outcome
from chalicelib.engine.workers import Hello
from chalicelib.store.access_table import AccessTable
from chalicelib.store.connections_table import ConnectionsTable
from chalicelib.triggers import live, pushes
from chalicelib.triggers.floods import floods
from tests.api.accounts import KEY
from tests.contract.cost_bench import NAME, a_bench
from tests.contract.cost_meter import CountedPushes
from tests.contract.cost_scenarios import WORKSPACE
from tests.contract.places import REGION, template
from workers.control_direct import DirectControl

# More than any process keeps who somebody is, and what he may do: each act finds that forgotten.
_LATER_S = 20
_BATCH = 100


@dataclass
class Audience:
    """A job that runs, and whoever watches it. `hold` is that of its only step."""

    bench: object
    pushes: CountedPushes
    hold: object = None
    control: DirectControl = None
    written: int = 0
    tokens: dict = field(default_factory=dict)

    @property
    def engine(self):
        return self.bench.engine

    def starts(self):
        """Let a job begin."""
        self.control = DirectControl(self.engine)
        self.control.register(Hello(name="worker-1", capabilities=("script",)))
        jobs.create(self.engine, JobRequest(workspace=NAME, task="one"))
        (offer,) = self.control.offers("script", 0, 1)
        self.hold = offer().hold

    def ends(self):
        self.control.complete(self.hold, Outcome())

    def writes(self, texts, *, live=True):
        """Write a chunk of lines."""
        at = self.bench.clock.now()
        lines = [LogLine(at, "stdout", self.hold.ref.step, text) for text in texts]
        self.control.append(self.hold, self.written + 1, lines, live=live)
        self.written += len(lines)

    def changes(self):
        """Let the engine tell that something of the job has changed."""
        with self.bench.tables.paused():
            job = self.engine.jobs.get(self.hold.ref.job_id)
        watching.pulse(self.engine, job)

    def knows(self, name):
        """Add a user of that name, who is no administrator."""
        user = accounts.add(self.engine, NewUser(email=f"{name}@example.com", roles=("user",)))
        self.tokens[name] = UserTokens((KEY,)).issue(user, self.bench.clock.now(), "t")

    def joins(self, name):
        """Let a user of that name have the job open."""
        self.knows(name)
        floods.forget(name)
        caller = self.engine.gate.caller_of(f"Bearer {self.tokens[name]}")
        now, topic = self.bench.clock.now(), Topic(job_id=self.hold.ref.job_id)
        connection = Connection(
            connection_id=name,
            identity=Identity.of(caller),
            mode=Mode.MESSAGES,
            opened_at=now,
            expires_at=now + CONNECTION_FOR,
            topics=frozenset({topic}),
        )
        self.engine.connections.open(connection)
        self.engine.jobs.watch(topic.job_id, now + WATCHED_FOR)

    def comes(self, name):
        """Open a connection with a ticket, as a client does."""
        floods.forget(name)
        self.bench.ask()
        caller = self.engine.gate.caller_of(f"Bearer {self.tokens[name]}")
        query = {"ticket": tickets.issue(self.engine, caller)}
        answer = live.on_connect(self.engine, _event(name, queryStringParameters=query))
        assert answer["statusCode"] == 200
        self._invoked()

    def says(self, name, **message):
        """Send a message; return the answers. None may be an error."""
        self.bench.requests[Meter.MESSAGES] += 1
        self._invoked()
        self.pushes.sent.clear()
        live.on_message(self.engine, _event(name, body=json.dumps(message)))
        told = self.pushes.told(name)
        assert [one for one in told if one["type"] in ("error", "closing")] == []
        return told

    def subscribes(self, name):
        topic = messages.topic_json(Topic(job_id=self.hold.ref.job_id))
        return self.says(name, action="subscribe", id="a", topic=topic)

    def pings(self, name):
        (pong,) = self.says(name, action="ping", id="a")
        assert pong["type"] == "pong"

    def goes(self, name):
        live.on_disconnect(self.engine, _event(name))
        self._invoked()

    def fetches(self, told):
        """Fetch what a viewer was given the addresses of."""
        for one in told:
            self.bench.requests[Meter.GETS] += len(one.get("chunks", ()))

    def asks(self, path):
        """Ask the REST API; return the answer."""
        self.bench.ask()
        wiring.use(self.engine)
        try:
            with Client(application.app) as client:
                headers = {"Authorization": f"Bearer {self.tokens['new']}"}
                answer = client.http.get(f"/api{path}", headers=headers)
        finally:
            wiring.use(None)
        assert answer.status_code == 200, answer.body
        return answer.json_body

    def polls(self, after):
        """Look at the job, and at its log behind a line, as a client without a connection does."""
        path = f"/jobs/{self.hold.ref.job_id}"
        self.asks(path)
        while lines := self.asks(f"{path}/steps/only/logs?after={after}")["logs"].count("\n"):
            after += lines
        assert after == self.written

    def streams(self, batch=_BATCH):
        """Let the streams bring what was written; what that writes, too. Return what was told."""
        self.pushes.sent.clear()
        while told := self.bench.tables.told:
            self.bench.tables.told = []
            for records in _batches(told, batch):
                pushes.on_changes(self.engine, {"Records": records}, _not_at_all)
                self._invoked()
        return [json.loads(text) for _, text in self.pushes.sent]

    def later(self, seconds=_LATER_S):
        self.bench.clock.tick(seconds)

    def forgets(self):
        """Forget what was used so far, but not what the streams have yet to tell."""
        for counter in self._counters():
            counter.clear()

    def counted(self):
        found = sum((Counter(one) for one in self._counters()), start=Counter())
        return {meter: round(found[meter], 6) for meter in Meter if found[meter]}

    def _counters(self):
        engine = self.engine
        own = (self.bench.tables.used, self.bench.requests, self.pushes.used)
        return (*own, engine.blobs.used, engine.queue.used)

    def _invoked(self):
        self.bench.requests[Meter.INVOCATIONS] += 1
        self.bench.requests[Meter.COMPUTE] += GB_S_PER_INVOCATION


def an_audience(place):
    """Return an audience to which nobody belongs yet."""
    bench = a_bench(place, WORKSPACE, counts_registry=True)
    sent = CountedPushes()
    tables = {resource: name for name, resource in bench.tables.resources.items()}
    engine = replace(
        bench.engine,
        pushes=sent,
        # What is wired keeps the time of the machine.
        access=KeptAccess(AccessTable(tables["RegistryTable"], REGION), bench.clock),
        connections=ConnectionsTable(tables["ConnectionsTable"], REGION, bench.clock),
    )
    bench.engine = wiring.guarded(engine, (KEY,))
    return Audience(bench, sent)


def _event(name, **given):
    return {"requestContext": {"connectionId": name, "routeKey": "$default"}, **given}


def _not_at_all(_seconds):
    raise AssertionError("nothing is to be waited for")


def _batches(told, size):
    """Yield the records that each mapping of the template lets through, up to `size` at once."""
    for mapping in ("PushJobs", "PushLogs", "PushConnections"):
        properties = template()[mapping]["Properties"]
        table = properties["EventSourceArn"]["Fn::GetAtt"][0]
        (only,) = properties["FilterCriteria"]["Filters"]
        pattern = json.loads(only["Pattern"])
        passed = [record for source, record in told if source == table and _fits(record, pattern)]
        for start in range(0, len(passed), size):
            yield passed[start : start + size]


def _fits(found, pattern):
    if isinstance(pattern, list):
        return found in pattern
    if not isinstance(found, dict):
        return False
    return all(name in found and _fits(found[name], part) for name, part in pattern.items())
