"""The one way in which messages are sent to connections.

One rule: nothing is queued for anybody. Whoever is gone is forgotten; whoever takes no more is
marked, and told later to ask again.
Source: live logs, section 2.4.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from chalicelib.domain.errors import NotFoundError, RateLimitedError, StroemError
from chalicelib.domain.live import Topic
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import messages
from chalicelib.engine.live.attempts import begun, heads_of, one_head
from chalicelib.engine.live.audience import Viewer
from chalicelib.engine.live.messages import Attempt, Head
from chalicelib.engine.live.parting import part

_log = logging.getLogger("stroem.live")


class Sent(Enum):
    """What became of a message."""

    SENT = "sent"
    BEHIND = "behind"
    GONE = "gone"


@dataclass(slots=True)
class Figures:
    """What became of a batch.

    Messages that were sent; connections that were gone, fell behind, or could not be reached; how
    many frames of bare lines; parts of the batch that failed, and whether trying again may help.
    """

    sent: int = 0
    gone: int = 0
    behind: int = 0
    unreached: int = 0
    frames: int = 0
    failed: int = 0
    may_help: bool = False


def send(engine: Engine, connection_id: str, text: str, topic: Topic | None = None) -> Sent:
    """Send a message; of which topic it tells, if it is one that must not be missed."""
    try:
        engine.pushes.post(connection_id, text)
    except NotFoundError:
        part(engine, connection_id)
        return Sent.GONE
    except RateLimitedError:
        if topic is not None:
            engine.connections.mark_behind(connection_id, topic, is_behind=True)
        return Sent.BEHIND
    return Sent.SENT


def deliver(
    engine: Engine, parcels: Sequence[tuple[Viewer, Sequence[str]]], figures: Figures
) -> frozenset[str]:
    """Send to each viewer its messages in order; return who took all of them.

    One that was behind is told so before. What is not taken is dropped, and the viewer marked.
    """
    viewers = {viewer.connection_id: viewer for viewer, own in parcels if own}
    texts = {
        viewer.connection_id: [*_resyncs(engine, viewer), *own] for viewer, own in parcels if own
    }
    if not texts:
        return frozenset()
    refused = engine.pushes.post_each(texts)
    figures.sent += sum(len(own) for one, own in texts.items() if one not in refused)
    for connection_id, error in refused.items():
        _note(engine, viewers[connection_id], error, figures)
    return frozenset(texts) - refused.keys()


def _note(engine: Engine, viewer: Viewer, error: StroemError, figures: Figures) -> None:
    match error:
        case NotFoundError():
            figures.gone += 1
            with suppress(StroemError):
                part(engine, viewer.connection_id)
        case RateLimitedError():
            figures.behind += 1
            _mark(engine, viewer)
        case _:
            figures.unreached += 1
            extra = {"connection": viewer.connection_id, "error": error.message}
            _log.warning("a connection was not reached", extra=extra)
            _mark(engine, viewer)


def _mark(engine: Engine, viewer: Viewer) -> None:
    for topic in viewer.topics:
        with suppress(StroemError):
            engine.connections.mark_behind(viewer.connection_id, topic, is_behind=True)


def _resyncs(engine: Engine, viewer: Viewer) -> Iterator[str]:
    for topic in sorted(viewer.behind, key=lambda one: one.key):
        # Before it is told: who marks it meanwhile speaks of something else that was missed.
        engine.connections.mark_behind(viewer.connection_id, topic, is_behind=False)
        yield messages.resync(topic, _heads(engine, topic))


def _heads(engine: Engine, topic: Topic) -> Sequence[Head]:
    if topic.job_id is None:
        return []
    with suppress(StroemError):
        if topic.step is not None:
            return one_head(engine, Attempt(topic.job_id, topic.step, topic.attempt or 0))
        found, _ = begun(engine, engine.jobs.load(topic.job_id))
        return heads_of(engine, topic.job_id, found)
    # That something was missed must be told, if not where to: the next `pong` says it.
    return []
