"""One run: jobs write lines, people come and go, and in the end each has seen what there was.

One rule: all that is drawn comes from the seed; what a run proves is said by `faults_of`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from random import Random

from chalicelib.domain.errors import StroemError
from chalicelib.domain.live import CONNECTION_FOR, WATCHED_FOR, Mode, Topic
from chalicelib.domain.logs import SERVER_STEP, LogLine
from chalicelib.engine.job_logs import append_lines
from tests.simulation.live_place import ATTEMPTS, CALM, STEPS, Failures, Place, Weather
from tests.simulation.scheduler import EPOCH
from tests.simulation.viewers import (
    Follower,
    Intruder,
    LineReader,
    ListWatcher,
    OneAttempt,
    SlowFollower,
)

ORDERS_S = 3.0
# Attempts of all jobs, and how many of one job run one after the other.
LOGS = 30
CHAIN = 4
AFTERWARDS_S = 1800.0
LAST_LEAVES_S = 50.0
# So long after the last watcher went nothing is live any more.
SETTLED = WATCHED_FOR + timedelta(seconds=15)


@dataclass(frozen=True)
class Scale:
    """How much: lines in all and in a chunk, viewers, seconds between chunks and of connections.

    `chunk` and `pace_s` are the most; connections last `life_s`.
    """

    lines: int = 10_000
    chunk: int = 40
    viewers: int = 100
    pace_s: float = 6.0
    life_s: float = 30.0

    @property
    def joins_s(self):
        """Return up to when people come: some of them after everything has ended."""
        chunks = self.lines / LOGS / (self.chunk / 2)
        return 60 + CHAIN * chunks * self.pace_s / 2


@dataclass
class Run:
    """What happened. `wrote` are the texts of each attempt of each job."""

    place: Place
    scale: Scale
    is_prompt: bool
    watched: list = field(default_factory=list)
    abandoned: str = ""
    quiet: str = ""
    viewers: list = field(default_factory=list)
    left: list = field(default_factory=list)
    wrote: dict = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self):
        # That it is watched and what follows from it is one moment to who writes.
        self._writer = replace(self.place.engine, logs=self.place.logs)

    # Who writes.

    def write_job(self, job_id, session):
        """Let the steps of a job run, each by an actor of its own."""
        for spec in STEPS:
            self.place.spawn(f"{job_id}/{spec}", self._write_step, job_id, spec, session)

    def _write_step(self, job_id, spec, session):
        step = spec.partition("<")[0]
        last = self._attempts(step)
        for attempt in range(1, last + 1):
            assignment = self._claimed(job_id, step, attempt, session)
            self._write(assignment, attempt, session)
            error = None if attempt == last else "no"
            self.place.house.end(assignment, error=error)

    @staticmethod
    def _attempts(step):
        return {"build": 1, "pack": 2, "ship": ATTEMPTS}[step]

    def _claimed(self, job_id, step, attempt, session):
        while True:
            self.place.scheduler.sleep(1.0)
            try:
                found = self.place.house.claim(job_id, step, attempt, session)
            except StroemError:
                continue
            if found is not None:
                return found

    def _write(self, assignment, attempt, session):
        place, ref = self.place, assignment.hold.ref
        texts = self.wrote[ref.job_id, ref.step, attempt]
        left = max(1, self.scale.lines // LOGS + place.rng.randrange(-20, 20))
        is_live, asked_at = assignment.watched, place.scheduler.now
        while left:
            place.scheduler.sleep(0.1 + self._pace_s(ref.job_id) * place.random() ** 2)
            if place.scheduler.now - asked_at >= ORDERS_S:
                orders = place.house.beat(assignment, session=session)
                is_live, asked_at = ref.job_id in orders.watched, place.scheduler.now
            many = min(left, self._many())
            first = len(texts) + 1
            # Beyond 8 KB a chunk is an object.
            pad = "x" * 400 if place.random() < 0.05 else ""
            new = [f"{ref.job_id[:13]} {ref.step} {attempt} {first + n}{pad}" for n in range(many)]
            lines = [LogLine(place.clock.now(), "stdout", ref.step, text) for text in new]
            texts += new
            if self.is_prompt:
                is_live = place.jobs.get(ref.job_id).is_watched(place.clock.now())
            append_lines(self._writer, ref, attempt, first, lines, live=is_live)
            left -= many

    def _pace_s(self, job_id):
        """Return a pace at which a job goes on for long after everybody has left it."""
        return self.scale.pace_s * (4 if job_id == self.abandoned else 1)

    def _many(self):
        return 1 + int(self.scale.chunk * self.place.random())

    # Who watches.

    def join(self, viewer, at_s):
        """Let somebody come at an instant; return the actor that plays him."""
        self.viewers.append(viewer)
        return self.place.spawn(viewer.name, self._come, viewer, at_s)

    def _come(self, viewer, at_s):
        self.place.scheduler.sleep(at_s)
        try:
            viewer.watch()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault of the run
            self.place.failures.append(f"{viewer}: {error!r}")

    def leave(self, actor, viewer, at_s):
        """Let somebody go at an instant; every other time nobody is told."""

        def go():
            self.left.append(viewer)
            actor.process.dead = True
            if viewer.socket is not None:
                end = viewer.socket.vanish if self.place.random() < 0.5 else viewer.socket.close
                end()
            self.place.scheduler.wake(actor)

        self.place.scheduler.at(at_s, go)

    @property
    def stayed(self):
        return [viewer for viewer in self.viewers if viewer not in self.left]


def a_run(seed: int, scale: Scale, weather: Weather, *, is_prompt: bool = False) -> Run:
    """Return a run that has happened."""
    rng = Random(seed)  # noqa: S311 - reproducible on purpose
    place = Place(rng, weather)
    place.life_s = scale.life_s
    run = Run(place, scale, is_prompt)
    _begin(run)
    failures, logger = Failures(), logging.getLogger("stroem")
    logger.addHandler(failures)
    try:
        place.scheduler.run(4 * scale.joins_s + AFTERWARDS_S, lambda: _is_over(run))
        # What still comes, or comes twice, comes now; and lists are looked at once a minute.
        place.scheduler.run(place.scheduler.now + 75)
        place.failures += failures.told
    finally:
        logger.removeHandler(failures)
        place.scheduler.finish()
        place.scheduler.current = None
    return run


def _is_over(run):
    return all(one.is_over for one in run.stayed if not isinstance(one, ListWatcher))


def _begin(run):
    place, house = run.place, run.place.house
    first, second, bank, abandoned, quiet = (
        house.job(workspace="bank" if n == 2 else "shop") for n in range(5)
    )
    run.watched, run.quiet, run.abandoned = [first, second, bank], quiet, abandoned
    for job_id in (*run.watched, abandoned, quiet):
        run.write_job(job_id, house.session)
    _crowd(run)
    for kind, who in ((ListWatcher, "ann"), (ListWatcher, "bob")):
        run.join(kind(place, who, "shop" if who == "ann" else "bank"), 1.0)
    run.join(Intruder(place, "bob", first), 30.0)
    run.join(Intruder(place, "ann", bank), 40.0)
    for n in range(3):
        viewer = Follower(place, "ann", abandoned)
        run.leave(run.join(viewer, 5.0 + n), viewer, LAST_LEAVES_S - 5 * n)


def _crowd(run):
    place, draw = run.place, run.place.random
    for _ in range(run.scale.viewers):
        job_id = run.watched[int(draw() * len(run.watched))]
        who = (place, "bob" if place.jobs.get(job_id).workspace == "bank" else "ann", job_id)
        at_s, chance = run.scale.joins_s * draw(), draw()
        if chance < 0.2:
            step, _, _ = STEPS[int(draw() * len(STEPS))].partition("<")
            attempt = 1 + int(draw() * Run._attempts(step))
            run.join(OneAttempt(*who, step, attempt), at_s)
        elif chance < 0.3:
            run.join(LineReader(*who), at_s)
        elif chance < 0.4 and place.weather.full:
            run.join(SlowFollower(*who), at_s)
        elif chance < 0.5:
            viewer = Follower(*who)
            run.leave(run.join(viewer, at_s), viewer, at_s + 60 * draw())
        else:
            run.join(Follower(*who), at_s)


def faults_of(run: Run) -> list[str]:
    """Return what was not as it must be."""
    return [
        *run.place.failures,
        *(f"{one}: {fault}" for one in run.stayed for fault in _faults_of(run, one)),
        *(f"{one}: {fault}" for one in run.left for fault in _seen_wrongly(run, one)),
        *_left_behind(run),
        *_needless(run),
        *_asked_again(run),
    ]


def asked(run: Run, action: str) -> int:
    """Return how often those asked for something who may."""
    return sum(one.asked[action] for one in run.viewers if not isinstance(one, Intruder))


def _asked_again(run):
    """Yield whether lines had to be asked for though none was lost, late, or out of order."""
    if run.place.weather is CALM and (times := asked(run, "range")):
        yield f"lines were missing {times} times though nothing was lost"


def _faults_of(run, viewer):
    if viewer.foreign:
        yield f"was told of something else: {str(viewer.foreign[0])[:200]}"
    match viewer:
        case Intruder():
            if {one["type"] for one in viewer.answers} - {"error"} or not viewer.answers:
                yield f"was not refused: {viewer.answers}"
        case ListWatcher():
            yield from _missed_jobs(run, viewer)
        case LineReader():
            yield from _misread(run, viewer)
        case _:
            yield from _misseen(run, viewer)


def _misseen(run, viewer):
    expected = {
        (step, attempt): list(enumerate(texts, 1))
        for (job_id, step, attempt), texts in run.wrote.items()
        if job_id == viewer.job_id
    }
    if isinstance(viewer, OneAttempt):
        expected = {viewer.key: expected[viewer.key]}
    if dict(viewer.rows) != expected:
        where = next(k for k in expected if viewer.rows.get(k) != expected[k])
        seen = [number for number, _ in viewer.rows.get(where, ())]
        odd = [pair for pair in pairwise([0, *seen]) if pair[1] != pair[0] + 1]
        yield f"of {where} saw {len(seen)} of {len(expected[where])} lines, jumps {odd[:3]}"
    elif not viewer.is_over:
        yield "does not learn that it is over"


def _seen_wrongly(run, viewer):
    """Yield what is wrong with what somebody saw who went before the end."""
    for (step, attempt), seen in viewer.rows.items():
        wrote = run.wrote[viewer.job_id, step, attempt]
        if seen != list(enumerate(wrote, 1))[: len(seen)]:
            yield f"saw something else of {step} {attempt}"


def _misread(run, viewer):
    expected = run.place.log(viewer.job_id)
    if twice := [line for line, times in Counter(viewer.texts).items() if times > 1]:
        yield f"read {len(twice)} lines more than once, as {twice[0]}"
    if missed := set(expected) - set(viewer.texts):
        yield f"did not read {len(missed)} of {len(expected)} lines, as {min(missed)}"
    # What the job itself tells may be told otherwise later; what its steps write may not.
    if _by_step(viewer.texts) != _by_step(expected):
        yield "read lines in another order, or of another job"


def _by_step(texts):
    found = defaultdict(list)
    for text in texts:
        row = json.loads(text)
        if row.get("step") != SERVER_STEP:
            found[row.get("step")].append(row.get("line"))
    return found


def _missed_jobs(run, viewer):
    for job_id in (*run.watched, run.abandoned, run.quiet):
        job = run.place.jobs.get(job_id)
        known = viewer.statuses.get(job_id)
        if job.workspace == viewer.workspace and known != job.status.value:
            yield f"believes {job_id} to be {known}"


def _left_behind(run):
    """Yield the connections that would be kept for ever."""
    place = run.place
    later = EPOCH + timedelta(seconds=place.scheduler.now) + CONNECTION_FOR
    for one in place.connections._open.values():
        if one.expires_at > later:
            yield f"{one.connection_id} is kept too long"
        if one.connection_id in place.refused and one.mode is Mode.MESSAGES:
            yield f"{one.connection_id} is kept though it was found gone"


def _needless(run):
    """Yield what was done for jobs that nobody watches."""
    asked = run.place.connections.asked
    quiet, abandoned = (Topic(job_id=one).channel for one in (run.quiet, run.abandoned))
    if any(channel == quiet for _, channel in asked):
        yield "it was asked who watches a job that nobody ever watched"
    gone = EPOCH + timedelta(seconds=LAST_LEAVES_S) + SETTLED
    if late := [at for at, channel in asked if channel == abandoned and at > gone]:
        yield f"it was asked {len(late)} times who watches a job that all have left"
    if any(chunk.live for chunk in run.place.logs.chunks(run.quiet)):
        yield "lines were live that nobody watched"
