"""A house whose jobs are watched: who opens a connection, who asks on one, and who is told."""

from __future__ import annotations

import json
from dataclasses import replace

from chalicelib.domain.live import WATCHED_FOR, Topic
from chalicelib.domain.logs import LogLine
from chalicelib.domain.permissions import Access, Acl, AclRule
from chalicelib.engine.job_logs import append_lines
from chalicelib.engine.live import connecting, pushing, serving, tickets
from chalicelib.engine.live.connecting import Handshake
from chalicelib.store.memory_connections import MemoryConnections
from tests.api.callers import KnownCallers, a_key, a_user
from tests.fakes.house import WORKSPACE, House
from tests.fakes.pushes import FakePushes
from tests.fakes.streams import Streams

OURS = frozenset({"https://stroem.example"})
MAKER = a_user("maker", stamp="s")
KEY = a_key("ci", MAKER)
FOREIGN = a_user("other", permissions=())
NO_JOB = "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"


class Place:
    """A house with connections, behind a gate that knows some callers."""

    def __init__(self, *specs, **given):
        self.house = House(*(specs or ("a",)), **given)
        self.clock = self.house.clock
        self.pushes = FakePushes()
        self.gate = KnownCallers(maker=MAKER, key=KEY, other=FOREIGN)
        self.engine = replace(
            self.house.engine,
            connections=MemoryConnections(self.clock.now),
            pushes=self.pushes,
            gate=self.gate,
        )

    def connect(self, connection_id="c1", **given):
        return connecting.connect(
            self.engine, Handshake(connection_id=connection_id, **given), OURS
        )

    def ticket(self, caller=MAKER):
        return tickets.issue(self.engine, caller)

    def lines(self, job_id, connection_id="c1", token="maker", **given):
        shown = {"job_id": job_id, "authorization": f"Bearer {token}"}
        return self.connect(connection_id, **shown, **given)

    def opened(self, connection_id="c1"):
        return self.engine.connections.connection(connection_id)

    def write(self, assignment, first, *texts, attempt=1, live=False):
        step = assignment.hold.ref.step
        lines = [LogLine(self.clock.now(), "stdout", step, text) for text in texts]
        append_lines(self.engine, assignment.hold.ref, attempt, first, lines, live=live)


class Talk(Place):
    """A connection `c1` of somebody who may look at everything."""

    def __init__(self, *specs, **given):
        super().__init__(*specs, **given)
        self.connect(ticket=self.ticket())

    def say(self, **body):
        return self.frame(json.dumps(body))

    def frame(self, text):
        """Send a frame; return the answers."""
        serving.serve(self.engine, "c1", text)
        return self.pushes.told("c1")

    def subscribe(self, **topic):
        have = topic.pop("have", [])
        return self.say(action="subscribe", id="1", topic=topic, have=have)

    def watched_until(self, job_id):
        return self.engine.jobs.get(job_id).watched_until


class Stage(Place):
    """A place whose streams tell of what changes; `watch` opens a connection of its own."""

    def __init__(self, *specs, **given):
        super().__init__(*specs, **given)
        self.streams = Streams(self.engine)
        self.pauses = []

    def watch(self, connection_id, caller=MAKER, **topic):
        self.connect(connection_id, ticket=self.ticket(caller))
        self.join(connection_id, **topic)

    def join(self, connection_id, **topic):
        wanted = Topic(**topic)
        self.engine.connections.subscribe(connection_id, wanted)
        if wanted.job_id:
            self.engine.jobs.watch(wanted.job_id, self.clock.now() + WATCHED_FOR)

    def write(self, assignment, first, *texts, live=True, **given):
        super().write(assignment, first, *texts, live=live, **given)

    def tell(self, *changes):
        return pushing.on_changes(self.engine, changes, self.pauses.append)

    def tell_lines(self, job_id):
        return self.tell(*self.streams.lines(job_id))

    def tell_job(self, job_id):
        return self.tell(*self.streams.job(job_id))

    def counting(self):
        """Keep from now on which methods of tables and of the object store are called."""
        calls = []
        ports = ("jobs", "logs", "blobs", "connections", "registry", "pushes")
        made = {name: Counted(getattr(self.engine, name), calls) for name in ports}
        self.engine = replace(self.engine, **made)
        return calls


class Counted:
    """A port whose calls are kept by name."""

    def __init__(self, inner, calls):
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name):
        found = getattr(self._inner, name)

        def call(*given, **named):
            self._calls.append(name)
            return found(*given, **named)

        return call


def an_acl(*tasks, access=Access.VIEW):
    rule = AclRule(users=("*",), workspace=WORKSPACE, tasks=tasks, action=access)
    return Acl(default=Access.DENY, rules=(rule,))


def kinds(told):
    return [one["type"] for one in told]


def lines_in(told):
    return [line["line"] for one in told if one["type"] == "lines" for line in one["lines"]]


def refusal(told):
    [only] = told
    assert only["type"] == "error"
    return only["code"]
