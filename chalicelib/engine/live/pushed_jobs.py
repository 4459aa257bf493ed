"""Changes of jobs, told to those who watch a job, an attempt of it, or its whole workspace.

One rule: a change that nobody sees is told to nobody. A job that is watched is read anew, so that
a late record tells what is, not what was.
Source: live logs, section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.errors import StroemError
from chalicelib.domain.job import Job, JobState
from chalicelib.domain.live import Mode, Topic, Watcher
from chalicelib.domain.values import JsonObject
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import messages
from chalicelib.engine.live.audience import Viewer, kept_job
from chalicelib.engine.live.batch import Batch
from chalicelib.engine.live.changes import JobChanged
from chalicelib.engine.live.endings import Endings
from chalicelib.engine.live.job_json import entry, steps
from chalicelib.engine.live.relay import relay
from chalicelib.engine.live.sending import deliver
from chalicelib.engine.live.subscribing import may_watch


@dataclass(frozen=True, slots=True)
class _Span:
    """All changes of one job in a batch: how it was before the first, and is after the last."""

    before: Job | None
    after: Job

    @property
    def is_seen(self) -> bool:
        """Say whether lists of jobs show that it has changed."""
        return self.before is None or _shown(self.before) != _shown(self.after)

    @property
    def told_at(self) -> datetime | None:
        """Return up to when its watchers were told; of what was before, heads told them."""
        return (self.before.pulse if self.before else None) or self.after.pulse

    def is_told(self, now: datetime) -> bool:
        """Say whether somebody may watch the job itself who has something to learn.

        What changed just before it was watched at all made no pulse.
        """
        if self.before is None or not self.after.is_watched(now):
            return self.after.is_watched(now)
        is_new = not self.before.is_watched(now)
        return is_new or self.is_seen or self.before.pulse != self.after.pulse


def tell_jobs(batch: Batch, workspace: str, changes: Sequence[JobChanged]) -> None:
    """Tell of changes of jobs of one workspace, those of each job in their order."""
    spans: dict[str, _Span] = {}
    for change in changes:
        known = spans.get(change.after.job_id)
        first = known.before if known else change.before
        spans[change.after.job_id] = _Span(first, change.after)
    seen = [span.after for span in spans.values() if span.is_seen]
    if seen:
        _tell_workspace(batch, workspace, seen)
    now = batch.engine.clock.now()
    for job_id, span in spans.items():
        if span.is_told(now):
            watchers = batch.engine.connections.watchers(Topic(job_id=job_id).channel)
            if watchers:
                _tell_job(batch, span, watchers)


def _tell_workspace(batch: Batch, workspace: str, jobs: Sequence[Job]) -> None:
    viewers = batch.audience.of_workspace(workspace)
    shown = _Entries(batch.engine)
    parcels = []
    for viewer in viewers:
        own = [job for job in jobs if may_watch(viewer.rights, job)]
        told = (messages.job_messages(shown.of(job, viewer), ()) for job in own)
        parcels.append((viewer, [text for texts in told for text in texts]))
    deliver(batch.engine, parcels, batch.figures)


def _tell_job(batch: Batch, span: _Span, watchers: Sequence[Watcher]) -> None:
    engine = batch.engine
    state = engine.jobs.load(span.after.job_id)
    viewers = batch.audience.of_job(state.job, watchers)
    talkers = [viewer for viewer in viewers if viewer.mode is Mode.MESSAGES]
    if talkers:
        _tell_talkers(batch, span, state, talkers)
    for viewer in viewers:
        if viewer.mode is Mode.LINES:
            relay(batch, viewer.connection_id, state.job.job_id)


def _tell_talkers(batch: Batch, span: _Span, state: JobState, viewers: Sequence[Viewer]) -> None:
    engine, job_id = batch.engine, state.job.job_id
    named = {topic for viewer in viewers for topic in viewer.topics if topic.step is not None}
    endings = Endings(engine, state, named)
    whole = Topic(job_id=job_id)
    ends: list[str] = []
    told: list[JsonObject] = []
    if any(whole in viewer.topics for viewer in viewers):
        ends = endings.since(span.told_at or engine.clock.now())
        flow = engine.plan_of(state.job).flow
        told = list(steps(flow, state, kept_job(engine, job_id).redactor))
    shown = _Entries(engine)
    parcels = []
    for viewer in viewers:
        own = [endings.text(topic) for topic in _over(viewer, endings)]
        if whole in viewer.topics:
            texts = messages.job_messages(shown.of(state.job, viewer), told)
            own = [*dict.fromkeys([*own, *ends]), *texts]
        parcels.append((viewer, own))
    took = deliver(engine, parcels, batch.figures)
    for viewer in viewers:
        if viewer.connection_id in took:
            _leave(engine, viewer, endings)


def _over(viewer: Viewer, endings: Endings) -> list[Topic]:
    """Return the attempts that the viewer watches by name and that are over."""
    return sorted(viewer.topics & endings.over, key=lambda one: one.key)


def _leave(engine: Engine, viewer: Viewer, endings: Endings) -> None:
    for topic in _over(viewer, endings):
        with suppress(StroemError):
            engine.connections.unsubscribe(viewer.connection_id, topic)


class _Entries:
    """Entries of jobs, each made once for those who see all jobs, and once for the others."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._made: dict[tuple[str, bool], JsonObject] = {}

    def of(self, job: Job, viewer: Viewer) -> JsonObject:
        tells_source = viewer.rights.sees_all(job.workspace)
        key = (job.job_id, tells_source)
        if key not in self._made:
            retries = _retries(self._engine, job)
            self._made[key] = entry(job, retries, tells_source=tells_source)
        return self._made[key]


def _retries(engine: Engine, job: Job) -> int | None:
    if job.retry_of is None and job.retry_job is None:
        return None
    with suppress(StroemError):
        retry = engine.plan_of(job).task.retry
        return retry.max_attempts - 1 if retry else 0
    return None


def _shown(job: Job) -> JsonObject:
    return entry(job, None, tells_source=True)
