"""Finds secrets in texts, values and streams, in all their spellings, and puts dots there.

The one rule: whatever way the bytes are cut, the same text comes out; what may be the beginning of
a secret is held back until it is known, and nothing else is.
Source: security, S19.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chalicelib.domain.disguises import disguises
from chalicelib.domain.masks import REDACTED
from chalicelib.domain.values import JsonValue

_MARK = REDACTED.encode()


class Needles:
    """What is looked for. Made once for a step, read by all of its streams."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.all = tuple(one for one in disguises(secrets) if one not in _MARK)
        self.longest = max(map(len, self.all), default=0)

    def __bool__(self) -> bool:
        return bool(self.all)

    def text(self, text: str) -> str:
        """Return a whole text without the secrets."""
        if not self.all:
            return text
        stream = StreamRedactor(self)
        data = stream.feed(text.encode("utf-8", "surrogatepass")) + stream.finish()
        return data.decode("utf-8", "surrogatepass")

    def value(self, value: JsonValue) -> JsonValue:
        """Return a value without the secrets, in keys and in figures, too."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(key): self.value(item) for key, item in value.items()}
            case None | bool():
                return value
            case _:
                return value if self.text(str(value)) == str(value) else REDACTED

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where needles stand in the data, overlapping ones too, in no order."""
        for needle in self.all:
            at = data.find(needle)
            while at >= 0:
                yield at, at + len(needle)
                at = data.find(needle, at + 1)

    def begins_at(self, data: bytes) -> int:
        """Return where the longest end of the data begins that a needle may begin with."""
        size = len(data)
        first = size
        for needle in self.all:
            at = data.find(needle[:1], max(0, size - len(needle) + 1), first)
            while 0 <= at < first:
                if needle.startswith(data[at:]):
                    first = at
                    break
                at = data.find(needle[:1], at + 1, first)
        return first


class StreamRedactor:
    """One stream. Feed it the bytes as they come; at the end, `finish` gives what is held back."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._held = b""
        # How much of what is held back belongs to a secret that dots stand for already.
        self._covered = 0

    def feed(self, data: bytes) -> bytes:
        """Return what can be told of the text so far."""
        whole = self._held + data
        return self._emit(whole, self._needles.begins_at(whole))

    def finish(self) -> bytes:
        """Return the rest. Nothing may be fed after it."""
        return self._emit(self._held, len(self._held))

    def _emit(self, whole: bytes, until: int) -> bytes:
        parts: list[bytes] = []
        at = self._covered
        for begin, end in _merged(self._needles.spans(whole), self._covered):
            if begin >= until:
                break
            if begin >= at:
                # What begins before is a part of what dots stand for already.
                parts += (whole[at:begin], _MARK)
            at = max(at, end)
        if at < until:
            parts.append(whole[at:until])
        self._held, self._covered = whole[until:], max(at - until, 0)
        return b"".join(parts)


def _merged(spans: Iterator[tuple[int, int]], covered: int) -> Iterator[tuple[int, int]]:
    """Yield the spans in order, those that overlap as one; the covered beginning is one, too."""
    last_begin, last_end = (-1, covered) if covered else (-1, -1)
    for begin, end in sorted(spans):
        if begin < last_end:
            last_end = max(last_end, end)
            continue
        if last_end > 0:
            yield last_begin, last_end
        last_begin, last_end = begin, end
    if last_end > 0:
        yield last_begin, last_end
