"""What is true when all is over: records, outputs and the book of effects held side by side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.engine import loops
from chalicelib.engine.engine import Engine

_LOST = re.compile(r"Worker (?:lost: worker|stopped) ?(\S*)")


@dataclass
class Verdict:
    """What was found; `lost` and `doubled` say of what, in words."""

    jobs: int = 0
    steps: int = 0
    recoveries: int = 0
    recovered_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def judge(
    engine: Engine, job_ids: Iterable[str], book: Path, killed_at: Mapping[str, datetime]
) -> Verdict:
    """Look at every job that the API accepted, and at their sub-jobs."""
    verdict = Verdict()
    effects = Counter((book / "effects").read_text().splitlines())
    verdict.doubled += [f"{line}: ran {n} times" for line, n in effects.items() if n > 1]
    waiting = list(job_ids)
    while waiting:
        job_id = waiting.pop()
        try:
            state = loops.with_instances(engine, engine.jobs.load(job_id))
        except NotFoundError:
            verdict.lost.append(f"job {job_id} is not there")
            continue
        verdict.jobs += 1
        verdict.outcomes[state.job.status.value] += 1
        _judge_job(state, effects, verdict, killed_at)
        waiting += [record.child for record in _records(state) if record.child]
    return verdict


def _judge_job(
    state: JobState,
    effects: Mapping[str, int],
    verdict: Verdict,
    killed_at: Mapping[str, datetime],
) -> None:
    job = state.job
    if not job.status.is_terminal or job.due is not None:
        verdict.lost.append(f"job {job.job_id} of {job.task} is {job.status}, due {job.due}")
    for record in _records(state):
        name = f"{job.job_id}/{record.step}"
        attempts = [past.attempt for past in record.history]
        if attempts != list(range(1, len(attempts) + 1)):
            verdict.doubled.append(f"{name}: its history has the attempts {attempts}")
        verdict.steps += record.attempt
        by_worker = record.loop is None and record.child is None
        is_done = record.status.value == "completed"
        if is_done and by_worker and not effects.get(f"{name} {record.attempt}"):
            verdict.lost.append(f"{name} completed at attempt {record.attempt}, which never ran")
        if record.status.value == "failed":
            verdict.lost.append(f"{name} failed: {record.error}")
        _judge_recoveries(record, verdict, killed_at)


def _judge_recoveries(
    record: StepRecord, verdict: Verdict, killed_at: Mapping[str, datetime]
) -> None:
    for past in record.history:
        found = _LOST.match(past.error)
        if found is None:
            continue
        verdict.recoveries += 1
        died_at = killed_at.get(found[1])
        if died_at is not None:
            verdict.recovered_s.append((past.failed_at - died_at).total_seconds())


def _records(state: JobState) -> list[StepRecord]:
    own = list(state.steps.values())
    return own + [record for found in state.instances.values() for record in found.values()]
