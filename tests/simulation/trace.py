"""What happened in a run: a digest always, and lines to read when asked for."""

from __future__ import annotations

_MASK = (1 << 61) - 1


class Trace:
    """Each call of a port, in order. The digest tells whether two runs differ."""

    def __init__(self, *, keep=False):
        self.digest = 7
        self.lines = [] if keep else None
        self.scheduler = None
        self._numbers = {}

    def note(self, what, args, result):
        number = self._numbers.setdefault(what, len(self._numbers) + 1)
        actor = self.scheduler.current
        outcome = 1 if result is None else 2 if result is True else 3
        if isinstance(result, Exception):
            outcome = 4 + len(type(result).__name__)
        elif isinstance(result, str):
            outcome = 40 + len(result)
        self.digest = (self.digest * 1_000_003 + actor.number * 64 + number * 7 + outcome) & _MASK
        if self.lines is not None:
            shown = "" if result is None else f" -> {_short(result)}"
            self.say(f"{what}({', '.join(_short(arg) for arg in args)}){shown}")

    def say(self, text):
        if self.lines is not None:
            actor = self.scheduler.current
            name = f"{actor.process.name}/{actor.name}" if actor else "hub"
            self.lines.append(f"{self.scheduler.now:9.3f}  {name:<22} {text}")


def _short(value):
    text = repr(value)
    if isinstance(value, Exception):
        text = f"{type(value).__name__}: {value}"
    for noise in ("datetime.datetime", ", tzinfo=datetime.timezone.utc"):
        text = text.replace(noise, "")
    return text if len(text) <= 220 else text[:217] + "…"
