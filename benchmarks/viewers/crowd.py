"""Who watches: the product's own client, many times over, each with connections of its own.

One rule: a viewer comes when it was drawn to come, and stays until its client says that all is
told; whatever stops it before is a fault that it reports.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from benchmarks.viewers.job import printed
from benchmarks.viewers.verdict import Verdict, end_of, judge
from benchmarks.viewers.weather import Weather, lossy
from chalicelib.client.events import Event, FellBack, JobChanged, Line
from chalicelib.client.live import LiveClient
from chalicelib.client.machine import Machine
from chalicelib.client.rest import FollowTimeoutError, HttpRest, ServerError
from chalicelib.client.websocket import open_socket

DEADLINE_S = 600.0


@dataclass(frozen=True)
class Show:
    """What is to be seen: a job of so many lines, in such a weather."""

    url: str
    job_id: str
    lines: int
    weather: Weather


@dataclass(frozen=True)
class Viewer:
    """Somebody who comes at an instant of the monotonic clock; `seed` is of all that it draws."""

    number: int
    comes_at: float
    seed: int


@dataclass
class Sight:
    """What became of a viewer.

    `ages_ms` are those of lines that were printed in its presence; `fell_back` says why it went
    on by polling.
    """

    number: int
    verdict: Verdict
    end: dict[str, Any]
    counts: Counter[str]
    faults: list[str] = field(default_factory=list)
    fell_back: str | None = None
    ages_ms: list[float] = field(default_factory=list)


def drawn(viewers: int, over_s: float, seed: int) -> list[Viewer]:
    """Return viewers who come at random from now on; the first one at once."""
    random, now = Random(seed), time.monotonic()  # noqa: S311 - to be repeated
    return [
        Viewer(n, now + (over_s * random.random() if n else 0.0), random.getrandbits(32))
        for n in range(viewers)
    ]


def watch(show: Show, viewers: Sequence[Viewer], processes: int = 1) -> list[Sight]:
    """Let all of them watch, each in a thread of its own; return what they saw."""
    if processes == 1:
        return _watch_here(show, viewers)
    # What a child needs it imports anew: a copy of our threads' locks would hold it for ever.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=fresh) as pool:
        parts = [viewers[start::processes] for start in range(processes)]
        return [one for found in pool.map(_watch_here, [show] * processes, parts) for one in found]


def _watch_here(show: Show, viewers: Sequence[Viewer]) -> list[Sight]:
    with ThreadPoolExecutor(max(1, len(viewers))) as threads:
        return list(threads.map(lambda one: _view(show, one), viewers))


def _view(show: Show, viewer: Viewer) -> Sight:
    time.sleep(max(0.0, viewer.comes_at - time.monotonic()))
    random, counts = Random(viewer.seed), Counter[str]()  # noqa: S311 - to be repeated
    machine = Machine(connect=lossy(open_socket, show.weather, random, counts))
    client = LiveClient(HttpRest(show.url, lambda _: None), machine)
    seen = _Seen(Sight(viewer.number, Verdict(), {}, counts))
    sight, came = seen.sight, time.time_ns() / 1e9
    try:
        for event in client.follow(show.job_id, timeout_s=DEADLINE_S):
            sight.ages_ms += _ages_ms(event, came)
            seen.take(event)
    except ServerError as error:
        sight.faults.append(error.message)
    except FollowTimeoutError:
        sight.faults.append(f"was not told within {DEADLINE_S:.0f} s that it is over")
    if counts["opened"] == 0:
        # Whoever found the job ended asked the REST API for its log.
        seen.polled_from = 0
        sight.ages_ms.clear()
    sight.verdict = judge(printed(show.lines), seen.lines, seen.polled_from)
    sight.faults += sight.verdict.said
    return sight


@dataclass
class _Seen:
    sight: Sight
    lines: list[Line] = field(default_factory=list)
    polled_from: int | None = None

    def take(self, event: Event) -> None:
        match event:
            case Line():
                self.lines.append(event)
            case JobChanged():
                self.sight.end = end_of(event.row)
            case FellBack():
                self.polled_from, self.sight.fell_back = len(self.lines), event.reason


def _ages_ms(event: Event, came: float) -> Iterator[float]:
    if isinstance(event, Line):
        read_at = datetime.fromisoformat(event.ts).timestamp()
        if read_at > came:
            yield (time.time_ns() / 1e9 - read_at) * 1000
