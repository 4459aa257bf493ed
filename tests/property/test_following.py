"""Whoever follows a job sees each of its lines once, whatever becomes of single messages."""

import gzip
import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.client.events import AttemptChanged, CaughtUp, JobChanged, Line
from chalicelib.client.following import Following
from tests.fakes.live_world import LiveWorld

STEPS = ("build", "pack", "ship")
HAPPENING = st.sampled_from(["write", "write", "write", "again", "cut"])
HAPPENINGS = st.lists(st.tuples(HAPPENING, st.sampled_from(STEPS)), max_size=40)
# Drawn without end: a list would be over before the end of the job, where it matters most.
FATES = st.integers(0, 2**32).map(Random)
KINDS = ("sent", "sent", "sent", "sent", "lost", "twice", "late")


class Wire:
    """Carries what the server sends, as its fates say."""

    def __init__(self, world, fates):
        self.world, self.fates = world, fates
        self.following = Following("j")
        self.events, self.late, self.now = [], [], 0.0
        self.events += self.following.looked(world.detail(), self.now)
        self.open()

    def open(self):
        self.late.clear()
        self.following.opened(self.now)

    def push(self, messages):
        for message in messages:
            fate = self.fates.choice(KINDS)
            if fate == "late":
                self.late.append(message)
                continue
            for _ in range({"lost": 0, "twice": 2}.get(fate, 1)):
                self.give(message)

    def give(self, message):
        # What stands in a text cannot be shared with the server.
        self.events += self.following.take(json.loads(json.dumps(message)), self.now)

    def turn(self):
        """Let half a second pass."""
        following = self.following
        if following.wants_look:
            self.events += following.looked(self.world.detail(), self.now)
        while following.fetches:
            fetch = following.fetches.popleft()
            text = gzip.decompress(self.world.blobs[fetch.url[1:]]).decode()
            rows = [json.loads(line) for line in text.splitlines()]
            self.events += following.fetched(fetch, rows, self.now)
        late, self.late = self.late, []
        while following.outbox and not following.is_over:
            self.push(self.world.answer(following.outbox.popleft()))
        for message in late:
            self.give(message)
        self.now += 0.5
        following.tick(self.now)
        if following.is_dead(self.now):
            self.open()


def lived_through(world, happenings, fates):
    wire = Wire(world, fates)
    for number, (what, step) in enumerate(happenings):
        wire.turn()
        if what == "cut":
            wire.open()
        else:
            wire.push(world.write(step, f"{number}") if what == "write" else world.again(step))
    wire.push(world.end())
    for _ in range(2000):
        if wire.following.is_over:
            return wire
        wire.turn()
    raise AssertionError("it never ends")


@settings(max_examples=150)
@given(HAPPENINGS, FATES, st.sampled_from([0, 2, 1000]))
def test_each_line_of_each_attempt_is_told_once_and_in_order(happenings, fates, packs_over):
    world = LiveWorld(*STEPS)
    world.packs_over = packs_over
    told = lived_through(world, happenings, fates).events
    lines = [event for event in told if isinstance(event, Line)]
    for step in STEPS:
        expected = [
            (attempt, number, row["line"])
            for (name, attempt), log in sorted(world.logs.items())
            if name == step
            for number, row in enumerate(log, 1)
        ]
        of_step = [(line.attempt, line.number, line.text) for line in lines if line.step == step]
        assert of_step == expected


@settings(max_examples=50)
@given(HAPPENINGS, FATES)
def test_it_ends_with_the_job_as_it_ended_after_the_last_line(happenings, fates):
    told = lived_through(LiveWorld(*STEPS), happenings, fates).events
    assert isinstance(told[-1], JobChanged)
    assert told[-1].status == "completed"
    assert {step["status"] for step in told[-1].row["steps"]} == {"completed"}
    assert sum(isinstance(event, CaughtUp) for event in told) == 1


@settings(max_examples=50)
@given(HAPPENINGS, FATES)
def test_an_attempt_is_announced_once_before_its_first_line(happenings, fates):
    told = lived_through(LiveWorld(*STEPS), happenings, fates).events
    announced = [(e.step, e.attempt) for e in told if isinstance(e, AttemptChanged)]
    lines = {(e.step, e.attempt) for e in told if isinstance(e, Line)}
    assert len(announced) == len(set(announced))
    assert set(announced) == {(step, attempt) for step, attempt in lines if attempt > 1}
