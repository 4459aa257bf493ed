"""Which attempts of a job are over, and what is said of their ends.

One rule: the records are read before the lines, so that the last line told is the last there is.
Source: live logs, section 2.3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from chalicelib.domain.job import JobState
from chalicelib.domain.live import Topic
from chalicelib.domain.loops import instance_of
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import messages
from chalicelib.engine.live.attempts import MOST_ATTEMPTS, Begun, begun, begun_in, head_of
from chalicelib.engine.live.messages import Attempt

# Clocks of processes differ, and a pulse is stamped a little before it is written.
_SKEW = timedelta(seconds=10)


class Endings:
    """The ends of a job's attempts; `over` are those of the topics `named` that have ended."""

    def __init__(self, engine: Engine, state: JobState, named: Collection[Topic]) -> None:
        self._engine = engine
        self._state = state
        self._texts: dict[Topic, str] = {}
        found = [*_of_steps(state), *_of_instances(engine, state, named)]
        # Of a job that has ended, what never began is over too.
        over = named if state.job.status.is_terminal else map(_topic, _ended(found))
        self.over = frozenset(over) & frozenset(named)

    def since(self, pulse: datetime) -> list[str]:
        """Return what is said of the attempts that ended after a pulse, the newest 200.

        Instances of a loop are told of when the loop or the job has ended.
        """
        after = pulse - _SKEW
        found = [one for one in _ended(_of_steps(self._state)) if _end(one) >= after]
        if self._ends_loop(after):
            every, _ = begun(self._engine, self._state)
            found += [one for one in _ended(every) if instance_of(one.attempt.step)]
        newest = sorted(found, key=_end)[-MOST_ATTEMPTS:]
        return [self.text(_topic(one)) for one in newest]

    def text(self, topic: Topic) -> str:
        """Return what is said of the end of an attempt that is over."""
        if topic not in self._texts:
            attempt = Attempt(topic.job_id or "", topic.step or "", topic.attempt or 0)
            last = head_of(self._engine, attempt, has_ended=True).head
            self._texts[topic] = messages.end(attempt, last)
        return self._texts[topic]

    def _ends_loop(self, after: datetime) -> bool:
        loops = [record for record in self._state.steps.values() if record.loop is not None]
        if self._state.job.status.is_terminal:
            return bool(loops)
        return any(one.completed_at is not None and one.completed_at >= after for one in loops)


def _of_steps(state: JobState) -> Iterator[Begun]:
    return begun_in(state.job, state.steps.values())


def _of_instances(engine: Engine, state: JobState, named: Iterable[Topic]) -> Iterator[Begun]:
    names = {topic.step for topic in named if topic.step and instance_of(topic.step)}
    if names:
        records = engine.jobs.load_steps(state.job.job_id, names).steps
        yield from begun_in(state.job, (records[name] for name in names & records.keys()))


def _ended(found: Iterable[Begun]) -> Iterator[Begun]:
    return (one for one in found if one.has_ended)


def _end(one: Begun) -> datetime:
    return one.ended_at or one.started_at


def _topic(one: Begun) -> Topic:
    own = one.attempt
    return Topic(job_id=own.job_id, step=own.step, attempt=own.number)
