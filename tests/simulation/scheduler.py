"""Virtual time and cooperative actors: one seed gives one interleaving, every time.

Actors are greenlets. Each gives way before every call of a port; the hub picks who goes on by the
seeded generator, and moves the clock only when nobody can.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from heapq import heappop, heappush

from greenlet import getcurrent, greenlet

# Where virtual time begins.
EPOCH = datetime(2026, 11, 21, 8, tzinfo=UTC)


# More than this at one instant is no work, but a loop without an end.
MOST_STEPS = 50_000


class KilledError(BaseException):
    """The actor's process died. Not an `Exception`: no code under test may survive it."""


class StuckError(AssertionError):
    """Time stands still: somebody does the same for ever."""


class Process:
    """What dies or freezes as one: a worker with its slots, or one Lambda invocation."""

    __slots__ = ("dead", "frozen_until", "name", "skew_s")

    def __init__(self, name, skew_s=0.0):
        self.name = name
        self.skew_s = skew_s
        self.dead = False
        self.frozen_until = 0.0


class Actor:
    __slots__ = ("ended", "greenlet", "name", "number", "process", "result", "waits")

    def __init__(self, name, number, process):
        self.name = name
        self.number = number
        self.process = process
        self.waits = 0
        self.ended = False
        self.result = None


class Scheduler:
    """Runs actors until nothing is left to happen, or until `stop` says so."""

    def __init__(self, rng):
        self.now = 0.0
        self.steps = 0
        self.current = None
        self._random = rng.random
        self._runnable = []
        self._timers = []
        self._count = 0
        self._hub = None
        self._alive = {}

    def spawn(self, process, name, function, *args):
        self._count += 1
        actor = Actor(name, self._count, process)
        actor.greenlet = greenlet(lambda: self._run(actor, function, args), self._hub)
        self._alive[actor.number] = actor
        self._runnable.append(actor)
        return actor

    def run(self, until_s, stop=lambda: False):
        """Let things happen up to the instant, or until `stop`, asked between two instants."""
        self._hub = getcurrent()
        for actor in self._alive.values():
            actor.greenlet.parent = self._hub
        timers = self._timers
        while True:
            self._play_instant()
            if stop():
                return
            if not timers or timers[0][0] > until_s:
                self.now = max(self.now, until_s)
                return
            self.now = timers[0][0]
            while timers and timers[0][0] <= self.now:
                heappop(timers)[2]()

    def _play_instant(self):
        runnable, random = self._runnable, self._random
        most = self.steps + MOST_STEPS
        while runnable:
            if self.steps > most:
                raise StuckError("somebody does the same for ever")
            index = int(random() * len(runnable))
            actor = runnable[index]
            last = runnable.pop()
            if actor is not last:
                runnable[index] = last
            self._resume(actor)

    def at(self, instant, function):
        self._count += 1
        heappush(self._timers, (instant, self._count, function))

    def pause(self):
        """Let others go first, if the generator says so."""
        self._runnable.append(self.current)
        self._park()

    def sleep(self, seconds):
        actor = self.current
        turn = actor.waits
        self.at(self.now + seconds, lambda: self.wake(actor, turn))
        self._park()

    def wait(self):
        """Park until somebody wakes the actor."""
        self._park()

    def wake(self, actor, turn=None):
        """Wake a parked actor; with `turn`, only if it still waits for that same thing."""
        if actor.ended or (turn is not None and actor.waits != turn):
            return
        actor.waits += 1
        self._runnable.append(actor)

    def finish(self):
        """Drop whoever still waits."""
        for actor in list(self._alive.values()):
            actor.process.dead = True
            with suppress(KilledError):
                actor.greenlet.throw(KilledError())
        self._timers.clear()

    def _park(self):
        self.steps += 1
        self._hub.switch()
        if self.current.process.dead:
            raise KilledError

    def _resume(self, actor):
        if actor.ended:
            return
        if actor.process.frozen_until > self.now and not actor.process.dead:
            turn = actor.waits
            self.at(actor.process.frozen_until, lambda: self.wake(actor, turn))
            return
        actor.waits += 1
        self.current = actor
        actor.greenlet.switch()

    def _run(self, actor, function, args):
        try:
            actor.result = function(*args)
        except KilledError:
            actor.process.dead = True
        finally:
            actor.ended = True
            self._alive.pop(actor.number, None)
