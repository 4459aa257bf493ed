"""Log lines, chunks of them, and the lines that the job's own history tells.

Lines of one attempt carry a sequence number from 1, given by the one worker that holds its lease;
a chunk is a gapless run of them. Source: live logs, section 2.3; HTTP API, section 4.4.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.plan import Flow, derive
from chalicelib.domain.reruns import is_taken_over
from chalicelib.domain.values import BlobRef

SERVER_STEP = "_server"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `stream` is `stdout` or `stderr`, `ts` in UTC."""

    ts: datetime
    stream: str
    step: str
    line: str

    def to_json(self) -> str:
        """Return the line's JSONL form, without the newline."""
        body = {"ts": stamp(self.ts), "stream": self.stream, "step": self.step, "line": self.line}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Lines `first` to `last` of one attempt: JSONL in `text`, or in the blob that `ref` names.

    `live` says that somebody watched the job when it was written, so that it is pushed.
    """

    job_id: str
    step: str
    attempt: int
    first: int
    last: int
    text: str = ""
    ref: BlobRef | None = None
    live: bool = False


@dataclass(frozen=True, slots=True)
class LogPart:
    """Lines behind `after` and up to `last` of one attempt of a step."""

    step: str
    attempt: int
    after: int
    last: int

    def meets(self, chunk: LogChunk) -> bool:
        """Say whether a chunk of this attempt holds lines of this part, which may be empty."""
        return max(self.after + 1, chunk.first) <= min(self.last, chunk.last)


def stamp(instant: datetime) -> str:
    """Return RFC 3339 in UTC with microseconds, so that texts sort as the instants do."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def narrate(flow: Flow, state: JobState) -> list[LogLine]:
    """Return the `_server` lines that the job's records tell, oldest first.

    They are derived, not stored: each decision of the engine leaves its trace in the records.
    """
    lines = sorted(_events(flow, state), key=lambda event: event[0])
    return [LogLine(at, "stderr", SERVER_STEP, text) for at, text in lines]


def _events(flow: Flow, state: JobState) -> Iterator[tuple[datetime, str]]:
    job = state.job
    source = f" ({job.source_id})" if job.source_id else ""
    yield job.created_at, f"Job created by {job.source_type}{source}, revision {job.revision}"
    yield from _record_events(state)
    for note in state.notes:
        yield note.at, note.text
    # Why a job was skipped is said once, not for each of its steps.
    statuses = {} if job.status is JobStatus.SKIPPED else derive(flow, state)
    for key, status in statuses.items():
        if status is StepStatus.SKIPPED and key not in state.steps:
            yield (
                turn_at(flow, state, key),
                f"Step '{key}' skipped: {_why(flow, statuses, key)}",
            )
    if job.completed_at is not None:
        why = f": {job.reason}" if job.reason else ""
        yield job.completed_at, f"Job {job.status}{why}"


def _record_events(state: JobState) -> Iterator[tuple[datetime, str]]:
    job = state.job
    for record in state.steps.values():
        if is_taken_over(job, record):
            taken = f"Step '{record.step}' taken over from job {job.source_job}: {record.status}"
            yield job.created_at, taken
        else:
            yield from _step_events(record)
    for records in state.instances.values():
        for record in records.values():
            if not is_taken_over(job, record):
                yield from _instance_events(record)


def _step_events(record: StepRecord) -> Iterator[tuple[datetime, str]]:
    name = f"Step '{record.step}'"
    for past in record.history:
        yield past.failed_at, f"{name} attempt {past.attempt} failed: {past.error}"
    if record.status is StepStatus.READY and record.retry_at and record.history:
        at = record.history[-1].failed_at
        yield at, f"{name} is tried again at {stamp(record.retry_at)} (attempt {record.attempt})"
    if record.loop is not None and record.started_at is not None:
        yield record.started_at, f"{name} loops over {record.loop.total} items"
    elif record.suspended_at is not None:
        yield record.suspended_at, f"{name} is suspended: it waits for an answer"
    elif record.started_at is not None:
        by = f" by worker {record.worker}" if record.worker else ""
        by = f" as job {record.child}" if record.child else by
        yield record.started_at, f"{name} attempt {record.attempt} started{by}"
    if record.completed_at is not None:
        yield record.completed_at, f"{name} {record.status}{_because(record)}"


def _because(record: StepRecord) -> str:
    if record.error:
        return f": {record.error}"
    said = record.output.inline
    if isinstance(said, dict) and record.suspended_at is not None and said.get("approved_by"):
        return f": approved by {said['approved_by']}"
    is_skipped = record.status is StepStatus.SKIPPED
    return ": its condition is false, or its list is empty" if is_skipped else ""


def _instance_events(record: StepRecord) -> Iterator[tuple[datetime, str]]:
    """Tell only what went wrong: a loop has up to 10,000 instances."""
    never_began = record.status is StepStatus.CANCELLED and record.started_at is None
    is_quiet = never_began or record.status in (StepStatus.COMPLETED, StepStatus.SKIPPED)
    if record.history or not (is_quiet or record.status is StepStatus.RUNNING):
        yield from _step_events(record)


def turn_at(flow: Flow, state: JobState, key: str) -> datetime:
    """Return when the last of the step's ended ancestors ended: that made it ready, or skipped."""
    ends = [state.job.created_at]
    pending = list(flow.steps[key].depends_on)
    seen: set[str] = set()
    while pending:
        need = pending.pop()
        if need in seen:
            continue
        seen.add(need)
        record = state.steps.get(need)
        if record is not None and record.completed_at is not None:
            ends.append(record.completed_at)
        else:
            pending.extend(flow.steps[need].depends_on)
    return max(ends)


def _why(flow: Flow, statuses: dict[str, StepStatus], key: str) -> str:
    broken = [
        f"'{need}' {statuses[need]}"
        for need in flow.steps[key].depends_on
        if statuses[need] in (StepStatus.FAILED, StepStatus.CANCELLED)
    ]
    return ", ".join(broken) if broken else "everything before it was skipped"
