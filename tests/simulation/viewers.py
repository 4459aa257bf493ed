"""Those who watch: the client itself over simulated sockets, and others that are simpler."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict

from chalicelib.api.jobs_shapes import detail_of
from chalicelib.client.connected import Connected
from chalicelib.client.events import Line
from chalicelib.client.following import Following
from chalicelib.client.machine import Machine
from chalicelib.client.merge import AttemptLog
from chalicelib.client.socket import SocketClosedError
from chalicelib.client.watching import Watching
from chalicelib.engine import queries_jobs
from chalicelib.engine.access import Rights
from chalicelib.engine.job_logs import is_archived
from chalicelib.engine.live import tickets
from tests.simulation.live_socket import Socket

GRACE_S = 0.3
ASK_AGAIN_S = 3.0
PING_S = 5.0


class Viewer:
    """Somebody who watches a job. `rows` are the lines seen of each attempt.

    `foreign` is what was told of anything else, `asked` how often each action was sent.
    """

    is_slow = is_ordered = False
    is_lossy = is_short = True

    def __init__(self, place, name, job_id):
        self.place, self.name, self.job_id = place, name, job_id
        self.rows = defaultdict(list)
        self.foreign = []
        self.asked = Counter()
        self.socket = None
        self.is_over = False

    def check(self, text):
        told = json.loads(text)
        if told["type"] == "pong":
            self.foreign += [head for head in told["heads"] if head[0] != self.job_id]
        elif told["type"] not in ("error", "closing") and self._about(told) != self.job_id:
            self.foreign.append(told)

    def __str__(self):
        return f"{type(self).__name__} {self.name} of {self.job_id}"

    def connect(self, url):
        self.socket = Socket(self).open(ticket=url.partition("ticket=")[2])
        return self.socket

    def post(self, path):
        """Return a ticket, as the REST API does."""
        assert path == "/api/ws-ticket"
        engine = self.place.engine
        caller = engine.gate.caller_of(f"Bearer {self.name}")
        return {"ticket": tickets.issue(engine, caller), "url": "wss://place"}

    def get(self, path, query=None):
        """Return the job as the REST API shows it."""
        del query
        engine, job_id = self.place.engine, path.rpartition("/")[2]
        rights = Rights.of(engine, engine.gate.caller_of(f"Bearer {self.name}"))
        self.place.pass_time(0.05)
        view = queries_jobs.job_view(engine, job_id)
        return detail_of(view, rights).model_dump(mode="json")

    def fetch(self, url):
        self.place.pass_time(0.1)
        return self.place.engine.blobs.get(url.removeprefix("memory:").partition("?")[0])

    @staticmethod
    def _about(told):
        return told.get("job", told).get("job_id") or told.get("topic", {}).get("job_id")

    def _connected(self):
        scheduler, chance = self.place.scheduler, self.place.random
        machine = Machine(self.connect, lambda: scheduler.now, scheduler.sleep, chance)
        return Connected(self, machine)


class Follower(Viewer):
    """The product's client: follows a whole job to its end."""

    def watch(self):
        for event in self._connected().hold(Following(self.job_id)):
            if isinstance(event, Line):
                self.rows[event.step, event.attempt].append((event.number, event.text))
        self.is_over = True


class SlowFollower(Follower):
    """Takes a message now and then, and often no more."""

    is_slow = True


class ListWatcher(Viewer):
    """Watches the jobs of a workspace, without an end. `statuses` are those it was told."""

    def __init__(self, place, name, workspace):
        super().__init__(place, name, None)
        self.workspace, self.statuses = workspace, {}

    def check(self, text):
        told = json.loads(text)
        about = told.get("job", told.get("topic", {})).get("workspace")
        if told["type"] not in ("pong", "error") and about != self.workspace:
            self.foreign.append(told)

    def get(self, path, query=None):
        assert (path, query["workspace"]) == ("/api/jobs", self.workspace)
        self.place.pass_time(0.05)
        return {"items": self.place.listed(self.workspace)}

    def watch(self):
        for event in self._connected().hold(Watching(self.workspace)):
            if hasattr(event, "status"):
                self.statuses[event.job_id] = event.status


class Intruder(Viewer):
    """Asks for a job that is hidden from him; `answers` is what he is told."""

    is_short = False

    def __init__(self, *who):
        super().__init__(*who)
        self.answers = []

    def watch(self):
        socket = self.connect("?ticket=" + self.post("/api/ws-ticket")["ticket"])
        topic = {"job_id": self.job_id}
        asked = {"action": "subscribe", "id": "1", "topic": topic, "have": []}
        for message in (asked, asked | {"action": "range", "first": 1}, asked):
            socket.send(json.dumps(message))
        for _ in range(40):
            text = socket.receive(0.5)
            if text is not None:
                self.answers.append(json.loads(text))
        socket.close()
        self.is_over = True


class LineReader(Viewer):
    """Strøm's own path: bare lines, which nobody can ask for again."""

    is_lossy = is_short = False
    is_ordered = True

    def __init__(self, *who):
        super().__init__(*who)
        self.texts = []

    def check(self, text):
        self.texts += text.splitlines()

    def watch(self):
        authorization = {"headers": {"Authorization": f"Bearer {self.name}"}}
        self.socket = Socket(self).open(authorization, job=self.job_id)
        while not self._has_all():
            self.socket.receive(1.0)
        # What came twice would still come.
        for _ in range(20):
            self.socket.receive(1.0)
        self.socket.close()
        self.is_over = True

    def _has_all(self):
        job = self.place.jobs.get(self.job_id)
        return is_archived(job) and len(self.texts) >= len(self.place.log(self.job_id))


class OneAttempt(Viewer):
    """Watches one attempt by its name, with nothing of the client but its merge."""

    def __init__(self, place, name, job_id, step, attempt):
        super().__init__(place, name, job_id)
        self.step, self.attempt = step, attempt
        self.log = AttemptLog()
        self.is_caught_up = False

    @property
    def key(self):
        return self.step, self.attempt

    @property
    def topic(self):
        return {"job_id": self.job_id, "step": self.step, "attempt": self.attempt}

    def check(self, text):
        super().check(text)
        told = json.loads(text)
        if "step" in told and (told["step"], told["attempt"]) != self.key:
            self.foreign.append(told)

    def watch(self):
        while not self.log.is_complete:
            try:
                socket = self.connect("?ticket=" + self.post("/api/ws-ticket")["ticket"])
                self._talk(socket)
                socket.close()
            except SocketClosedError:
                self.place.scheduler.sleep(0.5)
        self.is_over = True

    def _talk(self, socket):
        scheduler = self.place.scheduler
        self._subscribe(socket)
        pinged_at, ask_at = scheduler.now, None
        while not self.log.is_complete:
            text = socket.receive(0.2)
            if text is not None:
                self._take(json.loads(text))
            ask_at = self._ask(socket, ask_at)
            if scheduler.now - pinged_at > PING_S:
                pinged_at = scheduler.now
                self._say(socket, action="ping")

    def _ask(self, socket, ask_at):
        """Ask for what is missing once it has been for long; return when to ask."""
        hole, now = self.log.missing(), self.place.scheduler.now
        if hole is None:
            return None
        if ask_at is None:
            # What was there when it subscribed may still come.
            return now + (GRACE_S if self.is_caught_up else ASK_AGAIN_S)
        if now < ask_at:
            return ask_at
        self._say(socket, action="range", topic=self.topic, first=hole[0], last=hole[1])
        return now + ASK_AGAIN_S

    def _subscribe(self, socket):
        self.is_caught_up = False
        have = [[self.step, self.attempt, self.log.have]]
        self._say(socket, action="subscribe", have=have, topic=self.topic)

    def _say(self, socket, **message):
        socket.send(json.dumps(message | {"id": "1"}))

    def _take(self, told):
        match told["type"]:
            case "lines":
                self._lines(told["first"], told["lines"])
            case "chunks":
                for chunk in told["chunks"]:
                    self._fetched(chunk)
            case "caught_up":
                self.is_caught_up = True
            case "end":
                self.log.ended(told["end"])
            case "subscribed" | "resync" | "pong":
                for *_, step, attempt, head, has_ended in told["heads"]:
                    assert (step, attempt) == (self.step, self.attempt)
                    tell = self.log.ended if has_ended else self.log.grown
                    tell(head)

    def _lines(self, first, rows):
        due = self.log.lines(first, rows)
        self.rows[self.step, self.attempt] += [(number, row["line"]) for number, row in due]

    def _fetched(self, chunk):
        packed = gzip.decompress(self.fetch(chunk["url"])).decode().rstrip("\n").split("\n")
        rows = [json.loads(row) for row in packed]
        for _, _, first, last in chunk["spans"]:
            self._lines(first, rows[: last - first + 1])
            rows = rows[last - first + 1 :]
