"""The messages that the server sends, as texts. Pure.

One rule: no text is longer than `MAX_MESSAGE_BYTES`; what has no room goes into further messages,
or is left out with a word that there is more.
Source: the page `live` of the reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.live import MAX_MESSAGE_BYTES, Topic
from chalicelib.domain.values import JsonValue

_LONGEST_TEXT = 500


class ErrorCode(StrEnum):
    """Why a message was refused."""

    BAD_MESSAGE = "bad_message"
    UNKNOWN_ACTION = "unknown_action"
    NOT_FOUND = "not_found"
    TOO_MANY = "too_many"
    TOO_FAST = "too_fast"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"


class ClosingCode(StrEnum):
    """Why the server ends a connection."""

    LOGGED_OUT = "logged_out"
    RIGHTS_LOST = "rights_lost"
    FLOOD = "flood"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a step, whose lines have numbers of their own."""

    job_id: str
    step: str
    number: int


@dataclass(frozen=True, slots=True)
class Head:
    """How many lines of an attempt are there, and whether none will follow."""

    attempt: Attempt
    head: int
    has_ended: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Lines `first` to `last` of an attempt."""

    attempt: Attempt
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Lines that lie at an address until `expires_s` are over, in the order of their spans.

    The spans must have room in a message beside the address.
    """

    url: str
    expires_s: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Lines as messages, and the numbers of the lines that are too long for one."""

    texts: tuple[str, ...]
    too_long: tuple[int, ...]


def lines_messages(attempt: Attempt, first: int, lines: Sequence[str]) -> Split:
    """Return lines `first`, `first + 1` … of an attempt, each the JSON that was kept of it."""
    digits = len(str(first + len(lines)))
    room = MAX_MESSAGE_BYTES - _size(_lines_text(attempt, "9" * digits, "9" * digits, ()))
    texts: list[str] = []
    too_long: list[int] = []
    start, size, held = first, 0, list[str]()
    for number, line in enumerate(lines, first):
        own = _size(line) + 1
        is_over = own > room + 1
        if held and (is_over or size + own > room + 1):
            texts.append(_lines_text(attempt, start, number - 1, held))
            held = []
        if is_over:
            too_long.append(number)
            continue
        if not held:
            start, size = number, 0
        held.append(line)
        size += own
    if held:
        texts.append(_lines_text(attempt, start, start + len(held) - 1, held))
    return Split(tuple(texts), tuple(too_long))


def chunks_messages(job_id: str, fetched: Iterable[Fetched]) -> Iterator[str]:
    """Yield what says where lines of a job can be fetched, in the order given."""
    for part in _parts(map(_fetched, fetched), _size(_text("chunks", job_id=job_id, chunks=[]))):
        yield _text("chunks", job_id=job_id, chunks=part)


def subscribed(message_id: str | None, topic: Topic, heads: Sequence[Head], *, more: bool) -> str:
    """Return the answer to `subscribe`; of heads that find no room it says that there are more."""
    own = {"id": message_id, "topic": topic_json(topic)}
    fixed = _text("subscribed", **own, heads=[], more=False)
    found = _fitting(_own_head, heads, _size(fixed))
    return _text("subscribed", **own, heads=found, more=more or len(found) < len(heads))


def pong(message_id: str | None, heads: Sequence[Head]) -> str:
    """Return the answer to `ping`, with as many of the heads as have room."""
    fixed = _text("pong", id=message_id, heads=[])
    return _text("pong", id=message_id, heads=_fitting(_full_head, heads, _size(fixed)))


def resync(topic: Topic, heads: Sequence[Head]) -> str:
    """Return what tells a watcher that something was not sent, with the heads that have room."""
    shown = topic_json(topic)
    found = _fitting(_own_head, heads, _size(_text("resync", topic=shown, heads=[])))
    return _text("resync", topic=shown, heads=found)


def caught_up(message_id: str | None, topic: Topic) -> str:
    """Return what says that all that was there has been sent."""
    return _text("caught_up", id=message_id, topic=topic_json(topic))


def end(attempt: Attempt, last: int) -> str:
    """Return that an attempt is over, and its last line."""
    return _text("end", **_attempt(attempt), end=last)


def job_messages(
    job: Mapping[str, JsonValue], steps: Iterable[Mapping[str, JsonValue]]
) -> Iterator[str]:
    """Yield a job and its steps, as many in each message as have room; at least one message.

    A step that has room in none is left out.
    """
    shown = dict(job)
    fixed = _size(_text("job", job=shown, steps=[]))
    items = [dict(step) for step in steps]
    fits = [one for one in items if fixed + _size(_json(one)) <= MAX_MESSAGE_BYTES]
    for part in _parts(fits, fixed) if fits else [[]]:
        yield _text("job", job=shown, steps=part)


def error(message_id: str | None, code: ErrorCode, message: str) -> str:
    """Return that a message was refused; a long reason is cut."""
    return _text("error", id=message_id, code=code.value, message=_cut(message))


def closing(code: ClosingCode, message: str) -> str:
    """Return that the server ends the connection."""
    return _text("closing", code=code.value, message=_cut(message))


def topic_json(topic: Topic) -> dict[str, JsonValue]:
    """Return a topic as clients write it."""
    if topic.workspace is not None:
        return {"workspace": topic.workspace}
    if topic.step is None:
        return {"job_id": topic.job_id}
    return {"job_id": topic.job_id, "step": topic.step, "attempt": topic.attempt}


def _lines_text(attempt: Attempt, first: object, last: object, lines: Iterable[str]) -> str:
    # The lines are JSON already: to read and write them again would be most of the work.
    about = _text("lines", **_attempt(attempt))[:-1]
    return f'{about},"first":{first},"last":{last},"lines":[{",".join(lines)}]}}'


def _parts(items: Iterable[JsonValue], fixed: int) -> Iterator[list[JsonValue]]:
    """Yield the items in lists, each of which has room beside `fixed` bytes."""
    held: list[JsonValue] = []
    size = fixed
    for item in items:
        own = _size(_json(item)) + 1
        if held and size + own > MAX_MESSAGE_BYTES + 1:
            yield held
            held, size = [], fixed
        held.append(item)
        size += own
    if held:
        yield held


def _fitting(
    shown: Callable[[Head], list[JsonValue]], heads: Iterable[Head], fixed: int
) -> list[JsonValue]:
    """Return the first heads, as many as have room beside `fixed` bytes."""
    return next(_parts(map(shown, heads), fixed), [])


def _own_head(found: Head) -> list[JsonValue]:
    return [found.attempt.step, found.attempt.number, found.head, found.has_ended]


def _full_head(found: Head) -> list[JsonValue]:
    return [found.attempt.job_id, *_own_head(found)]


def _attempt(attempt: Attempt) -> dict[str, JsonValue]:
    return {"job_id": attempt.job_id, "step": attempt.step, "attempt": attempt.number}


def _fetched(one: Fetched) -> JsonValue:
    return {
        "url": one.url,
        "expires_in": one.expires_s,
        "spans": [_span(span) for span in one.spans],
    }


def _span(span: Span) -> list[JsonValue]:
    return [span.attempt.step, span.attempt.number, span.first, span.last]


def _cut(reason: str) -> str:
    # What it quotes of a client may be a text that no encoding has.
    return reason[:_LONGEST_TEXT].encode(errors="replace").decode()


def _text(kind: str, **members: JsonValue) -> str:
    return _json({"type": kind, **members})


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _size(text: str) -> int:
    return len(text.encode())
