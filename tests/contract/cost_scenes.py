"""What happens to those who watch, scene by scene; `cost_audience` makes it happen and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.cost_watching import LINE_BYTES

# A ping then renews what says that the job is watched.
_RENEWAL_S = 61
# How many large chunks a log has that is fetched.
FETCHED = 30
_SHORT = ("built",) * 10
# More than 8 KB of JSON: its chunk is an object.
_LONG = ("x" * LINE_BYTES,) * 60


@dataclass(frozen=True)
class Scene:
    """What is counted, while so many watch a job that runs; `before` is not counted."""

    act: Callable
    viewers: int = 0
    before: Callable = lambda _: None


def _opens(audience):
    audience.comes("new")


def _writes_and_opens(audience):
    audience.writes(_SHORT, live=False)
    audience.comes("new")


def _subscribes(audience):
    audience.subscribes("new")
    audience.streams()


def _pings(audience):
    audience.pings("c0")
    audience.streams()


def _leaves(audience):
    audience.goes("c0")
    audience.streams()


def _tells_lines(audience):
    audience.streams()


def _tells_chunk(audience):
    told = audience.streams()
    assert {one["type"] for one in told} == {"chunks"}
    audience.fetches(told)


def _tells_change(audience):
    audience.changes()
    audience.streams()


def _lives(audience):
    """Tell of each write of a job by itself; what it costs to run is not counted here."""
    audience.starts()
    audience.ends()
    audience.forgets()
    assert audience.streams(batch=1) == []


def _fetches_all(audience):
    audience.fetches(audience.subscribes("new"))
    audience.streams()


def _ended_long(audience):
    for _ in range(FETCHED):
        audience.writes(_LONG, live=False)
    audience.ends()
    audience.streams()
    audience.comes("new")


def _ends_archived(audience):
    audience.writes(_LONG, live=False)
    audience.ends()


def _reads_archive(audience):
    path = f"/jobs/{audience.hold.ref.job_id}/steps/only/logs?after=0"
    assert audience.asks(path)["logs"].count("\n") == audience.written


def _polled(audience):
    audience.writes(_LONG)
    audience.polls(0)
    audience.writes(_LONG)


SCENES = {
    "a connection is opened": Scene(_opens),
    "a job is subscribed to": Scene(_subscribes, before=_writes_and_opens),
    "a ping": Scene(_pings, viewers=1),
    "a ping that renews": Scene(_pings, viewers=1, before=lambda one: one.later(_RENEWAL_S)),
    "the last viewer leaves": Scene(_leaves, viewers=1),
    "lines that nobody watches": Scene(
        _tells_lines, before=lambda one: one.writes(_SHORT, live=False)
    ),
    "lines told to 1": Scene(_tells_lines, viewers=1, before=lambda one: one.writes(_SHORT)),
    "lines told to 10": Scene(_tells_lines, viewers=10, before=lambda one: one.writes(_SHORT)),
    "a large chunk told to 1": Scene(
        _tells_chunk, viewers=1, before=lambda one: one.writes(_LONG)
    ),
    "a change told to 1": Scene(_tells_change, viewers=1),
    "a change told to 10": Scene(_tells_change, viewers=10),
    "a job that nobody watches": Scene(_lives),
    f"a log of {FETCHED} large chunks is fetched": Scene(_fetches_all, before=_ended_long),
    "a part of an archive is read": Scene(_reads_archive, before=_ends_archived),
    "a poll": Scene(lambda one: one.polls(len(_LONG)), before=_polled),
}


def played(audience, scene):
    """Return what a scene used."""
    viewers = [f"c{number}" for number in range(scene.viewers)]
    audience.starts()
    audience.knows("new")
    for name in viewers:
        audience.joins(name)
    with audience.bench.tables.watching():
        if viewers:
            # What a process keeps of a job for good.
            audience.writes(_SHORT)
            audience.streams()
        audience.later()
        scene.before(audience)
        audience.later()
        audience.forgets()
        scene.act(audience)
    return audience.counted()
