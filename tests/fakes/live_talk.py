"""A server of live updates in this process, on a clock that only waiting moves. No network."""

from __future__ import annotations

import json
from collections import deque
from urllib.parse import urlencode

from chalicelib.client.live import LiveClient
from chalicelib.client.machine import Machine, Patience
from chalicelib.client.rest import ServerError
from chalicelib.client.socket import SocketClosedError
from tests.fakes.live_server import LiveServer

PATIENCE = Patience(silence_s=20, poll_s=0.25)
# Whoever waits longer, or connects more often, goes on for ever.
_MOST_S = 3_600
_MOST_SOCKETS = 200


class LiveTalk(LiveServer):
    """What the client talks to: REST, sockets, clock. Server's `then` get the socket.

    `drops(message, answer)` says whether an answer is lost, `faults` are statuses with which REST
    answers first, in turn, and `barred` says that no part of a log can be fetched. `at(second,
    what)` lets something happen.
    """

    def __init__(self, world):
        super().__init__(world)
        self.now = 0.0
        self.sockets, self.slept = [], []
        self.faults = deque()
        self.barred = False
        self.drops = lambda message, answer: False
        self._due = []
        machine = Machine(self.connect, lambda: self.now, self.sleep, lambda: 0.5)
        self.client = LiveClient(self, machine, PATIENCE)

    def at(self, second, what):
        self._due.append((second, what))

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds):
        self.now += seconds
        assert self.now < _MOST_S, "it goes on for ever"
        for one in [one for one in self._due if one[0] <= self.now]:
            self._due.remove(one)
            one[1]()

    def get(self, path, query=None):
        if self.faults:
            raise ServerError("not now", self.faults.popleft())
        return self._done("GET", f"{path}?{urlencode(query or {})}")

    def post(self, path):
        return self._done("POST", path)

    def fetch(self, url):
        if self.barred:
            self.pass_time(1)
            raise ServerError("a part of the log does not come")
        return self._done("GET", url)

    def _done(self, method, target):
        status, body = self.rest(method, target)
        if status >= 400:
            raise ServerError(body["error"], status)
        return body

    def connect(self, url):
        assert len(self.sockets) < _MOST_SOCKETS, "it goes on for ever"
        self.tickets.remove(url.partition("ticket=")[2])
        self.sockets.append(TalkSocket(self))
        return self.sockets[-1]


class TalkSocket:
    """One connection. `push` sends messages to the client."""

    def __init__(self, talk):
        self._talk = talk
        self._inbox = deque()
        self._is_closed = False

    def push(self, messages):
        self._inbox.extend(map(json.dumps, messages))

    def send(self, text):
        if self._is_closed:
            raise SocketClosedError("the connection broke")
        talk, message = self._talk, json.loads(text)
        talk.heard.append(message)
        answers = talk.world.answer(message)
        self.push(answer for answer in answers if not talk.drops(message, answer))
        if message["action"] == "subscribe" and talk.then:
            talk.then.popleft()(self)

    def receive(self, timeout_s):
        if self._inbox:
            return self._inbox.popleft()
        if self._is_closed:
            raise SocketClosedError("the connection broke")
        self._talk.pass_time(timeout_s)
        return self._inbox.popleft() if self._inbox else None

    def close(self):
        self._is_closed = True
