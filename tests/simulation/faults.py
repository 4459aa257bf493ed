"""Ports behind a network that fails: each call may be cut off, repeated, refused or late.

Before every call the actor gives way. A fault is one of: the process dies before or after the
call; the call is performed and its reply lost; it is refused (throttled); or the client library
performs it twice, with others coming in between.
"""

from __future__ import annotations

from contextlib import suppress

from chalicelib.domain.errors import StroemError, UnavailableError
from tests.simulation.scheduler import KilledError

KINDS = ("crash_before", "crash_after", "lost", "throttle", "retry", "retry")


class Faults:
    """Whether and how the next call fails; `rate` 0 ends the fault phase."""

    def __init__(self, rng, rate, slow):
        self._random = rng.random
        self.rate = rate
        self.slow = slow
        self.injected = 0
        self.tense = 0

    def next(self):
        rate = self.rate
        if not rate:
            return None
        draw = self._random()
        if draw >= rate:
            return None
        self.injected += 1
        return KINDS[int(draw / rate * len(KINDS))]

    def delay_s(self):
        """Return how long the call takes: nearly always no time, seldom longer than a session."""
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
        delay_s = self._faults.delay_s()
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
        if fault == "throttle":
            raise UnavailableError(f"{self._name} was throttled")
        # Whatever came back, its reply is lost.
        with suppress(StroemError):
            self._perform(args, kwargs)
        if fault == "crash_after":
            self._crash()
        if fault == "lost":
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
