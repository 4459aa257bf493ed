"""Domain objects with sensible defaults: a test names only what it is about.

Every builder gives a new thing: ids are drawn, unless the test says which.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from chalicelib.domain.job import Job, PastAttempt
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.logs import LogChunk, LogLine
from chalicelib.domain.values import NO_PAYLOAD, BlobRef, Payload, StepRef
from chalicelib.domain.worker import WorkerRecord, WorkerStatus
from chalicelib.domain.workspace import Revision, WorkspaceRecord
from chalicelib.engine.ports import Claim, JobEnd, JobFilter, StepBegin, StepEnd, StepRetry
from tests.fakes.clock import NOON


def a_job(**given) -> Job:
    """A pending job of the task `build` in the workspace `demo`, due in a minute."""
    at = given.get("created_at", NOON)
    return Job(
        **{
            "job_id": str(uuid4()),
            "workspace": "demo",
            "task": "build",
            "revision": "0123456789abcdef",
            "status": JobStatus.PENDING,
            "source_type": SourceType.API,
            "created_at": at,
            "input": Payload({"branch": "main"}),
            "due": at + timedelta(minutes=1),
            "nonce": uuid4().hex,
        }
        | given
    )


def a_job_end(status: JobStatus = JobStatus.COMPLETED, **given) -> JobEnd:
    """The end of a job at noon that leaves nothing to do."""
    return JobEnd(
        **{"status": status, "at": NOON, "nonce": uuid4().hex, "after": frozenset()} | given
    )


def a_begin(job_id: str, step: str = "build", *, attempt: int = 1, **given) -> StepBegin:
    """What was decided at noon of a step that workers run: it is ready."""
    return StepBegin(
        **{
            "ref": StepRef(job_id, step),
            "attempt": attempt,
            "nonce": uuid4().hex,
            "status": StepStatus.READY,
            "at": NOON,
        }
        | given
    )


def a_claim(job_id: str, step: str = "build", *, attempt: int = 1, **given) -> Claim:
    """A claim with a lease of its own."""
    return Claim(
        **{
            "ref": StepRef(job_id, step),
            "attempt": attempt,
            "lease": uuid4().hex[:24],
            "session": str(uuid4()),
            "worker": "worker-1",
            "at": NOON,
        }
        | given
    )


def an_end(claim: Claim, status: StepStatus = StepStatus.COMPLETED, **given) -> StepEnd:
    """The end of the attempt that the claim holds, a second later."""
    return StepEnd(
        **{
            "ref": claim.ref,
            "attempt": claim.attempt,
            "lease": claim.lease,
            "nonce": f"{claim.lease}/worker",
            "status": status,
            "at": claim.at + timedelta(seconds=1),
            "output": NO_PAYLOAD,
        }
        | given
    )


def a_retry(claim: Claim, *, retry_at: datetime | None = None, **given) -> StepRetry:
    """The attempt that the claim holds failed a second later; the next waits for `retry_at`."""
    failed_at = claim.at + timedelta(seconds=1)
    return StepRetry(
        **{
            "ref": claim.ref,
            "lease": claim.lease,
            "nonce": f"{claim.lease}/worker",
            "past": PastAttempt(
                attempt=claim.attempt,
                error="exit code 1",
                started_at=claim.at,
                failed_at=failed_at,
            ),
            "retry_at": retry_at or failed_at,
        }
        | given
    )


def a_filter(*workspaces: str, **given) -> JobFilter:
    """A filter of the named workspaces, else of `demo`."""
    return JobFilter(workspaces=workspaces or ("demo",), **given)


def a_worker(**given) -> WorkerRecord:
    """An active session that runs nothing."""
    return WorkerRecord(
        **{
            "worker_id": str(uuid4()),
            "name": "worker-1",
            "status": WorkerStatus.ACTIVE,
            "capabilities": ("script",),
            "registered_at": NOON,
            "last_heartbeat": NOON,
        }
        | given
    )


def a_blob_ref(**given) -> BlobRef:
    return BlobRef(**{"key": f"objects/{uuid4()}", "size": 2048, "sha256": "ab" * 32} | given)


def a_workspace(**given) -> WorkspaceRecord:
    return WorkspaceRecord(**{"name": f"ws-{uuid4().hex[:8]}", "tried_at": NOON} | given)


def a_revision(**given) -> Revision:
    return Revision(
        **{
            "workspace": "demo",
            "revision": uuid4().hex,
            "definition": a_blob_ref(),
            "archive": a_blob_ref(),
            "created_at": NOON,
        }
        | given
    )


def a_chunk(
    job_id: str, step: str = "build", *, first: int = 1, lines: int = 1, **given
) -> LogChunk:
    """A chunk of lines that say their own number."""
    last = first + lines - 1
    text = "".join(
        LogLine(NOON, "stdout", step, f"line {number}").to_json() + "\n"
        for number in range(first, last + 1)
    )
    return LogChunk(
        **{
            "job_id": job_id,
            "step": step,
            "attempt": 1,
            "first": first,
            "last": last,
            "text": text,
        }
        | given
    )
