"""Ports that die, or let another caller in, at one of their calls."""

from __future__ import annotations

from dataclasses import replace

PORTS = ("schedules", "backfills", "registry", "jobs", "slots", "queue", "blobs")


class Died(BaseException):
    """The process was killed."""


class Cut:
    """Counts the calls of an engine's ports; at the call `at` it does `then`.

    With `after` the call itself is made first: its reply is lost.
    """

    def __init__(self, at, *, after=False, then=None):
        self.calls = 0
        self.at = at
        self.after = after
        self._then = then or self._die
        self.dead = False

    def _die(self):
        self.dead = True
        raise Died

    def engine(self, engine):
        """Return the engine over ports that count."""
        return replace(engine, **{name: _Port(getattr(engine, name), self) for name in PORTS})

    def around(self, call):
        if self.dead:
            raise Died
        self.calls += 1
        is_now = self.calls == self.at
        if is_now and not self.after:
            self._then()
        result = call()
        if is_now and self.after:
            self._then()
        return result


class _Port:
    def __init__(self, real, cut):
        self._real = real
        self._cut = cut

    def __getattr__(self, name):
        method = getattr(self._real, name)
        return lambda *args, **given: self._cut.around(lambda: method(*args, **given))
