"""The messages of clients, read. Pure.

One rule: nothing of a message is believed before it was looked at; what is wrong with it is said
in words, and harms nobody.
Source: the page `live` of the reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from chalicelib.domain.keys import LAST_LINE
from chalicelib.domain.live import MAX_MESSAGE_BYTES, Topic
from chalicelib.engine.live.messages import ErrorCode

_LONGEST_ID = 64
_LONGEST_NAME_BYTES = 900
_MOST_HAD = 1000
# As many as a sort key of the logs has digits for.
_LAST_ATTEMPT = 999
_TRIPLE = 3


class RefusedError(Exception):
    """A message cannot be done; `message_id` is that of the message, where it has one."""

    def __init__(self, code: ErrorCode, message: str, message_id: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.message_id = code, message, message_id


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Watch a topic. `have` is the last line that is there already, of a step's attempt."""

    message_id: str | None
    topic: Topic
    have: Mapping[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Watch a topic no more."""

    message_id: str | None
    topic: Topic


@dataclass(frozen=True, slots=True)
class Range:
    """Send lines of an attempt again; `last` None: to the end."""

    message_id: str | None
    topic: Topic
    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Ping:
    """Say how far the attempts are that are watched."""

    message_id: str | None


Request: TypeAlias = Subscribe | Unsubscribe | Range | Ping


def request_of(frame: str) -> Request:
    """Return what a frame asks for. Raises RefusedError."""
    if len(frame.encode(errors="replace")) > MAX_MESSAGE_BYTES:
        raise _bad(f"a message has {MAX_MESSAGE_BYTES} bytes at most")
    body = _object_in(frame)
    message_id = body.get("id")
    if message_id is not None and not _is_text(message_id, _LONGEST_ID):
        raise _bad(f"id: must be a text of 1 to {_LONGEST_ID} characters")
    try:
        return _request(body, message_id)
    except RefusedError as error:
        error.message_id = message_id
        raise


def _request(body: Mapping[str, Any], message_id: str | None) -> Request:
    match body.get("action"):
        case "subscribe":
            return Subscribe(message_id, _topic(body.get("topic")), _have(body.get("have")))
        case "unsubscribe":
            return Unsubscribe(message_id, _topic(body.get("topic")))
        case "range":
            return _range(body, message_id)
        case "ping":
            return Ping(message_id)
        case str() as other:
            known = "subscribe, unsubscribe, range, ping"
            text = f"there is no action {other[:80]!r}: choose of {known}"
            raise RefusedError(ErrorCode.UNKNOWN_ACTION, text)
        case _:
            raise _bad("action: must be a text")


def _object_in(frame: str) -> dict[str, Any]:
    try:
        body = json.loads(frame)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _bad("a message must be one JSON object")
    return body


def _topic(given: object) -> Topic:
    if isinstance(given, dict):
        if set(given) == {"workspace"} and _is_name(given["workspace"]):
            return Topic(workspace=given["workspace"])
        if set(given) == {"job_id"}:
            return Topic(job_id=_job_id(given["job_id"]))
        if set(given) == {"job_id", "step", "attempt"}:
            return _of_attempt(given)
    raise _bad(
        'topic: must be {"workspace": W}, {"job_id": J} or {"job_id": J, "step": S, "attempt": N}'
    )


def _of_attempt(given: Mapping[str, Any]) -> Topic:
    if not _is_name(given["step"]):
        raise _bad("topic: step must be the name of a step")
    attempt = _number(given["attempt"], "topic: attempt", _LAST_ATTEMPT)
    return Topic(job_id=_job_id(given["job_id"]), step=given["step"], attempt=attempt)


def _have(given: object) -> dict[tuple[str, int], int]:
    if given is None:
        return {}
    if not isinstance(given, list) or len(given) > _MOST_HAD:
        raise _bad(f"have: must be a list of up to {_MOST_HAD} [step, attempt, last]")
    found: dict[tuple[str, int], int] = {}
    for one in given:
        if not isinstance(one, list) or len(one) != _TRIPLE or not _is_name(one[0]):
            raise _bad("have: each must be [step, attempt, last]")
        attempt = _number(one[1], "have: attempt", _LAST_ATTEMPT)
        found[one[0], attempt] = _number(one[2], "have: last", LAST_LINE, least=0)
    return found


def _range(body: Mapping[str, Any], message_id: str | None) -> Range:
    topic = _topic(body.get("topic"))
    if topic.step is None:
        raise _bad("topic: a range is of one attempt")
    first = _number(body.get("first"), "first", LAST_LINE)
    given = body.get("last")
    last = None if given is None else _number(given, "last", LAST_LINE, least=first)
    return Range(message_id, topic, first, last)


def _job_id(given: object) -> str:
    text = given if isinstance(given, str) else ""
    try:
        job_id = str(UUID(text))
    except ValueError:
        job_id = ""
    if not job_id or job_id != text.lower():
        raise _bad("topic: job_id must be the id of a job, a UUID")
    return job_id


def _number(given: object, what: str, most: int, *, least: int = 1) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise _bad(f"{what}: must be a whole number from {least} to {most}")
    return given


def _is_name(given: object) -> bool:
    """Say whether it has room in a key of a table."""
    is_text = _is_text(given, _LONGEST_NAME_BYTES)
    return is_text and len(str(given).encode()) <= _LONGEST_NAME_BYTES


def _is_text(given: object, longest: int) -> bool:
    """Say whether it is a text that can be sent back: JSON may hold what no encoding has."""
    if not isinstance(given, str) or not 0 < len(given) <= longest:
        return False
    return given.isprintable()


def _bad(message: str) -> RefusedError:
    return RefusedError(ErrorCode.BAD_MESSAGE, message)
