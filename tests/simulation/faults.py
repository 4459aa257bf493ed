"""Ports behind a network that fails: each call may be cut off, repeated, refused or late.

Before every call the actor gives way. A fault is one of: the process dies before or after the
call; the call is performed and its reply lost; it is refused (throttled, or another transaction
has the items); the client library performs it twice, with others coming in between; or of what is
written in several requests only the first ones arrive.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from chalicelib.domain.errors import StroemError, UnavailableError
from tests.simulation.scheduler import KilledError

KINDS = ("crash_before", "crash_after", "lost", "throttle", "retry", "retry", "partial")


class Faults:
    """Whether and how the next call fails; `rate` 0 ends the fault phase.

    `kinds` has None in the place of a kind that was taken away.
    """

    def __init__(self, rng, rate, slow, kinds=KINDS):
        self._random = rng.random
        self._kinds = kinds
        self.rate = rate
        self.slow = slow
        self.injected = Counter()
        self.tense = 0

    def next(self):
        rate = self.rate
        if not rate:
            return None
        draw = self._random()
        if draw >= rate:
            return None
        kind = self._kinds[int(draw / rate * len(KINDS))]
        if kind is not None:
            self.injected[kind] += 1
        return kind

    def delay_s(self, name=""):
        """Return how long the call takes: nearly always no time, seldom longer than a session."""
        if name == "jobs.hand_back" and self.slow and self._random() < 0.5:
            # Late enough that the attempt may be another's by then.
            return 300 * self._random()
        if self.tense:
            self.tense -= 1
            return 3 * self._random() if self._random() < 0.25 else 0.0
        if not self.slow:
            return 0.0
        draw = self._random()
        if draw >= self.slow:
            return 0.0
        draw /= self.slow
        return 0.001 + draw * 3 if draw < 0.9 else 5 + (draw - 0.9) * 900


class FaultyPort:
    """Stands where the engine expects a port; `target` does the work."""

    def __init__(self, kind, target, world):
        self._kind = kind
        self._target = target
        self._world = world

    def __getattr__(self, name):
        call = _FaultyCall(f"{self._kind}.{name}", getattr(self._target, name), self._world)
        setattr(self, name, call)
        return call


class _FaultyCall:
    def __init__(self, name, method, world):
        self._name = name
        self._method = method
        self._scheduler = world.scheduler
        self._faults = world.faults
        self._note = world.trace.note

    def __call__(self, *args, **kwargs):
        delay_s = self._faults.delay_s(self._name)
        if delay_s:
            self._scheduler.sleep(delay_s)
        else:
            self._scheduler.pause()
        fault = self._faults.next()
        if fault is None:
            return self._perform(args, kwargs)
        self._note(self._name, args, fault)
        if fault == "crash_before":
            self._crash()
        if fault == "partial":
            args = first_part(self._name, args)
        if fault == "throttle" or args is None:
            raise UnavailableError(f"{self._name} was refused")
        # Whatever came back, its reply is lost.
        with suppress(StroemError):
            self._perform(args, kwargs)
        if fault == "crash_after":
            self._crash()
        if fault in ("lost", "partial"):
            raise UnavailableError(f"the reply of {self._name} was lost")
        self._scheduler.sleep(self._faults.delay_s() or 0.05)
        return self._perform(args, kwargs)

    def _perform(self, args, kwargs):
        try:
            result = self._method(*args, **kwargs)
        except StroemError as error:
            self._note(self._name, args, error)
            raise
        self._note(self._name, args, result)
        return result

    def _crash(self):
        self._scheduler.current.process.dead = True
        raise KilledError


def first_part(name, args):
    """Return what arrives when only the first of several requests does; None for nothing."""
    if name == "queue.send" and len(args[1]) > 1:
        return (args[0], args[1][: len(args[1]) // 2], *args[2:])
    return None
