"""Those outside who are told of jobs' ends."""

from __future__ import annotations

import json

from chalicelib.domain.errors import StroemError


class FakeWeb:
    """Receives what is posted. `answers` are given one by one, then 200; errors are raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.got = []

    def post(self, outgoing):
        self.got.append(outgoing)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, StroemError):
            raise answer
        return answer

    @property
    def events(self):
        return [json.loads(one.body) for one in self.got]


class FakeTopics:
    """Keeps what is published."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.got = []

    def publish(self, topic, message, attributes):
        if self.faults:
            raise self.faults.pop(0)
        self.got.append((topic, json.loads(message), dict(attributes)))
