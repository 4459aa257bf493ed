"""An installation whose tables have streams and whose connections may lose what is sent.

Whoever uses a port waits a little first, and others go on meanwhile. Streams bring what was
written in order, in batches, late, and now and then again.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import timedelta
from zlib import crc32

from chalicelib.domain.errors import NotFoundError, RateLimitedError, StroemError
from chalicelib.domain.live import MAX_MESSAGE_BYTES, Mode
from chalicelib.domain.permissions import Access, Acl, AclRule
from chalicelib.domain.workflow import Retry
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.live import pushing
from chalicelib.engine.live.changes import ConnectionOpened, JobChanged, LinesAdded
from chalicelib.store.memory import MemoryLogs
from chalicelib.store.memory_access import MemoryAccess
from chalicelib.store.memory_connections import MemoryConnections
from chalicelib.store.memory_jobs import MemoryJobs
from tests.api.callers import KnownCallers, a_user
from tests.fakes.house import House
from tests.simulation.scheduler import EPOCH, Process, Scheduler

WORKSPACES = ("shop", "bank")
STEPS = ("build", "pack", "ship<build")
ATTEMPTS = 3
BATCH = 100


@dataclass(frozen=True)
class Weather:
    """What goes wrong, each as a chance; `late_s` is how late a stream or a message may be.

    With one shard only, whatever was written first is told first. `slow` is how long things
    take that go well.
    """

    shards: int = 6
    slow: float = 1.0
    lost: float = 0.025
    full: float = 0.025
    twice: float = 0.1
    late: float = 0.1
    late_s: float = 2.0


CALM = Weather(shards=1, slow=0.2, lost=0, full=0, twice=0, late=0)


class Waiting:
    """A port whose callers wait up to `most_s` before each call."""

    def __init__(self, place, target, most_s):
        self._place, self._target, self._most_s = place, target, most_s

    def __getattr__(self, name):
        found = getattr(self._target, name)

        def call(*arguments, **named):
            self._place.pass_time(self._most_s)
            return found(*arguments, **named)

        return call


class Metas(dict):
    """META of each job; tells of every write of one."""

    def __init__(self, tell):
        super().__init__()
        self._tell = tell

    def __setitem__(self, job_id, job):
        before = self.get(job_id)
        super().__setitem__(job_id, job)
        self._tell(job_id, JobChanged(before, job))

    def setdefault(self, job_id, job):
        if job_id not in self:
            self[job_id] = job
        return self[job_id]


class Jobs(MemoryJobs):
    def __init__(self, tell):
        super().__init__()
        self._jobs = Metas(tell)


class Logs(MemoryLogs):
    """Chunks, found by their attempt; tells of those that are new and watched."""

    def __init__(self, tell):
        super().__init__()
        self._tell = tell
        self._attempts = {}

    def append(self, chunk, expires_at):
        own = self._attempts.setdefault((chunk.job_id, chunk.step, chunk.attempt), [])
        if own and own[-1].last >= chunk.first:
            return
        super().append(chunk, expires_at)
        own.append(chunk)
        if chunk.live:
            self._tell(chunk.job_id, LinesAdded(chunk))

    def chunks_after(self, job_id, step, attempt, after, limit):
        own = self._attempts.get((job_id, step, attempt), [])
        return [chunk for chunk in own if chunk.last > after][:limit]

    def head(self, job_id, step, attempt):
        own = self._attempts.get((job_id, step, attempt))
        return own[-1].last if own else 0


class Connections(MemoryConnections):
    """Counts of which channels the watchers were asked for, and when."""

    def __init__(self, now, tell):
        super().__init__(now)
        self._tell = tell
        self.asked = []

    def open(self, connection):
        super().open(connection)
        if connection.mode is Mode.LINES:
            self._tell(connection.connection_id, ConnectionOpened(connection.connection_id))

    def wake(self, connection_id):
        super().wake(connection_id)
        self._tell(connection_id, ConnectionOpened(connection_id))

    def watchers(self, channel):
        self.asked.append((self._now(), channel))
        return super().watchers(channel)


class Pushes:
    """The way to the sockets: full, lossy and late, as the weather is."""

    def __init__(self, place):
        self._place = place

    def post(self, connection_id, text):
        place = self._place
        place.pass_time(0.01)
        assert len(text.encode()) <= MAX_MESSAGE_BYTES
        socket = place.sockets.get(connection_id)
        if socket is None or not socket.is_there:
            place.refused.add(connection_id)
            raise NotFoundError(f"connection {connection_id} is gone")
        draw = place.random()
        if draw < place.weather.full or (socket.is_slow and draw < 0.3):
            place.seen["full"] += 1
            raise RateLimitedError("too much at once", 1)
        place.seen["sent"] += 1
        if socket.is_lossy and place.random() < place.weather.lost:
            place.seen["lost"] += 1
            return
        delay_s = 0.0 if socket.is_ordered else 0.02 * place.random() + place.lateness()
        place.scheduler.at(place.scheduler.now + delay_s, lambda: socket.arrived(text))

    def post_each(self, texts):
        refused = {}
        for connection_id, own in texts.items():
            try:
                for text in own:
                    self.post(connection_id, text)
            except StroemError as error:
                refused[connection_id] = error
        return refused

    def close(self, connection_id):
        socket = self._place.sockets.get(connection_id)
        if socket is not None:
            socket.shut("the server closed the connection")


class Clock:
    def __init__(self, scheduler):
        self._scheduler = scheduler

    def now(self):
        return EPOCH + timedelta(seconds=self._scheduler.now)


class Failures(logging.Handler):
    """What the engine calls a failure of its own."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.told = []

    def emit(self, record):
        self.told.append(f"{record.getMessage()}: {record.exc_info}")


class Place:
    """The installation: engine, streams, sockets, and the people `ann` and `bob`."""

    def __init__(self, rng, weather):
        self.rng, self.random, self.weather = rng, rng.random, weather
        self.scheduler = Scheduler(rng)
        self.clock = Clock(self.scheduler)
        self.seen = Counter()
        self.sockets = {}
        self.streams = {}
        self.life_s = 30.0
        self.failures = []
        self.refused = set()
        self._archived = {}
        self.jobs = Jobs(lambda *what: self._tell("jobs", *what))
        self.logs = Logs(lambda *what: self._tell("logs", *what))
        self.connections = Connections(
            self.clock.now, lambda *what: self._tell("connections", *what)
        )
        retry = {"retry": Retry(max_attempts=ATTEMPTS, delay_s=1)}
        ports = {"clock": self.clock, "jobs": self.jobs, "logs": self.logs}
        given = {spec.partition("<")[0]: retry for spec in STEPS}
        self.house = House(*STEPS, ports=ports, **given)
        self.engine = replace(self.house.engine, **self._ports())
        self.house.engine = self.engine
        record = WorkspaceRecord(name="bank", revision="r1")
        self.engine.registry.put_workspace(record, None)

    def _ports(self):
        access = MemoryAccess()
        rules = tuple(
            AclRule(workspace=workspace, action=Access.RUN, users=(f"{name}@example.com",))
            for workspace, name in zip(WORKSPACES, ("ann", "bob"), strict=True)
        )
        access.put_acl(Acl(default=Access.DENY, rules=rules), None)
        return {
            "jobs": Waiting(self, self.jobs, 0.01),
            "logs": Waiting(self, self.logs, 0.01),
            "connections": Waiting(self, self.connections, 0.01),
            "pushes": Pushes(self),
            "access": access,
            "gate": KnownCallers(ann=a_user("ann"), bob=a_user("bob")),
        }

    def pass_time(self, most_s):
        if self.scheduler.current is not None:
            self.scheduler.sleep(most_s * self.weather.slow * self.random())

    def lateness(self):
        late = self.random() < self.weather.late
        return self.weather.late_s * self.random() if late else 0.0

    def spawn(self, name, function, *arguments):
        return self.scheduler.spawn(Process(name), name, function, *arguments)

    def log(self, job_id):
        """Return the lines of an archived job, as the REST API gives them."""
        if job_id not in self._archived:
            raw = replace(self.engine, jobs=self.jobs, logs=self.logs)
            self._archived[job_id] = list(read_log(raw, job_id))
        return self._archived[job_id]

    def listed(self, workspace):
        """Return what matters here of the list of jobs."""
        return [
            {"job_id": job.job_id, "workspace": workspace, "status": job.status.value}
            for job in self.jobs._jobs.values()
            if job.workspace == workspace
        ]

    def _tell(self, table, key, change):
        # A job's chunks, a job and a connection each stand in another table, so in another shard.
        shard = crc32(f"{table}/{key}".encode()) % self.weather.shards
        if shard not in self.streams:
            self.streams[shard] = deque()
            self.spawn(f"shard {shard}", self._deliver, self.streams[shard])
        self.streams[shard].append(change)

    def _deliver(self, stream):
        """Bring what a shard holds to the function, batch by batch."""
        while True:
            self.scheduler.sleep(0.001 + 0.1 * self.weather.slow * self.random() + self.lateness())
            if not stream:
                continue
            batch = [stream.popleft() for _ in range(min(len(stream), BATCH))]
            again = True
            while again:
                self.seen["batches"] += 1
                figures = pushing.on_changes(self.engine, batch, self.scheduler.sleep)
                again = figures.may_help or self.random() < self.weather.twice
