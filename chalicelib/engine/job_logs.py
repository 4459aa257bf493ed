"""A job's log: take chunks in, give lines out in order of time, and archive the whole at the end.

While the archive is not written, lines come from the chunks and from the job's own records; the
archive holds exactly those, so that all three ways of reading give the same text.
Source: decision 13; live logs.
"""

from __future__ import annotations

import gzip
import heapq
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from io import BytesIO
from itertools import groupby, islice

from chalicelib.domain import keys
from chalicelib.domain.job import AfterAction, Job, JobState, StepRecord
from chalicelib.domain.logs import SERVER_STEP, LogChunk, LogLine, narrate
from chalicelib.domain.plan import Flow
from chalicelib.domain.values import StepRef
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import load_blob, store_blob
from chalicelib.engine.ports import Blobs
from chalicelib.engine.ports_logs import LogStore

INLINE_CHUNK_BYTES = 8 * 1024
KEPT = timedelta(days=30)
# How many chunks are read at once of a log that is read from somewhere on.
_PAGE = 100

# Every line begins with its time in a form of fixed width, so this much of it orders lines.
STAMP = slice(0, len('{"ts":"2026-11-21T08:00:00.000000Z"'))


def append_lines(
    engine: Engine,
    ref: StepRef,
    attempt: int,
    first: int,
    lines: Sequence[LogLine],
    *,
    live: bool = False,
) -> None:
    """Keep lines `first`, `first + 1` … of an attempt; with `live`, push them to who watches.

    A repeat of the same chunk changes nothing.
    """
    if not lines:
        return
    text = "".join(line.to_json() + "\n" for line in lines)
    blob = None
    if len(text.encode()) > INLINE_CHUNK_BYTES:
        key = keys.chunk_blob(ref.job_id, ref.step, attempt, first)
        blob = store_blob(
            engine.blobs, key, gzip.compress(text.encode(), compresslevel=3, mtime=0)
        )
        text = ""
    chunk = LogChunk(
        job_id=ref.job_id,
        step=ref.step,
        attempt=attempt,
        first=first,
        last=first + len(lines) - 1,
        text=text,
        ref=blob,
        live=live,
    )
    engine.logs.append(chunk, engine.clock.now() + KEPT)


def read_log(
    engine: Engine, job_id: str, step: str | None = None, after: int = 0
) -> Iterator[str]:
    """Yield the JSONL lines of a job, of one step, or of `_server`, in order of time.

    The first `after` of them are left out: who asks again and again for what is new of a step that
    runs must not have all of its log read each time.

    Raises:
        NotFoundError: no such job.
    """
    state = engine.jobs.load_steps(job_id, [step] if step not in (None, SERVER_STEP) else [])
    job = state.job
    if is_archived(job):
        return islice(_archived(engine.blobs, job, step), after, None)
    if step is not None and _has_one_attempt(state.steps.get(step)):
        return _lines_after(engine, StepRef(job_id, step), after)
    state = engine.jobs.load(job_id)
    lines = merged(engine.blobs, engine.logs, engine.plan_of(job).flow, state, step)
    return islice(lines, after, None)


def is_archived(job: Job) -> bool:
    """Say whether the job's log stands in its archive."""
    return job.status.is_terminal and AfterAction.ARCHIVE_LOG not in job.after


def archive_log(blobs: Blobs, logs: LogStore, flow: Flow, state: JobState) -> None:
    """Write the ended job's whole log as one gzip JSONL object; a repeat writes the same."""
    job = state.job
    key = keys.log_archive_blob(job.workspace, job.task, job.job_id, job.created_at)
    blobs.put_stream(key, _gzipped(merged(blobs, logs, flow, state, None)))


def merged(
    blobs: Blobs, logs: LogStore, flow: Flow, state: JobState, step: str | None
) -> Iterator[str]:
    """Yield lines of chunks and records in order of time; equal times keep the steps' order."""
    sources: list[Iterable[str]] = []
    if step in (None, SERVER_STEP):
        sources.append([line.to_json() for line in narrate(flow, state)])
    if step != SERVER_STEP:
        chunks = logs.chunks(state.job.job_id, step)
        for _, attempt in groupby(chunks, key=lambda chunk: (chunk.step, chunk.attempt)):
            sources.append(lines_of(blobs, list(attempt)))
    return heapq.merge(*sources, key=lambda line: line[STAMP])


def lines_of(blobs: Blobs, chunks: Iterable[LogChunk]) -> Iterator[str]:
    """Yield the JSONL lines of chunks in their order."""
    for chunk in chunks:
        text = chunk.text
        if chunk.ref is not None:
            text = gzip.decompress(load_blob(blobs, chunk.ref)).decode()
        # Not `splitlines`: a line may hold separators that only Unicode knows.
        yield from text.rstrip("\n").split("\n")


def _has_one_attempt(record: StepRecord | None) -> bool:
    return record is not None and record.attempt == 1 and record.loop is None


def _lines_after(engine: Engine, ref: StepRef, after: int) -> Iterator[str]:
    """Yield the lines behind line `after` of a step's first attempt, chunk by chunk as asked."""
    while found := engine.logs.chunks_after(ref.job_id, ref.step, 1, after, _PAGE):
        for chunk in found:
            known = max(0, after + 1 - chunk.first)
            yield from islice(lines_of(engine.blobs, [chunk]), known, None)
            after = max(after, chunk.last)
        if len(found) < _PAGE:
            return


def _gzipped(lines: Iterable[str]) -> Iterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for line in lines:
        part = packer.compress(f"{line}\n".encode())
        if part:
            yield part
    yield packer.flush()


def _archived(blobs: Blobs, job: Job, step: str | None) -> Iterator[str]:
    key = keys.log_archive_blob(job.workspace, job.task, job.job_id, job.created_at)
    # No quote stands unescaped inside a line's text, so only the member itself can look like this.
    mark = "" if step is None else f'"step":{json.dumps(step, ensure_ascii=False)},"line":'
    # Unpacked line by line: a log of 100 MB must not cost a reader its memory.
    with gzip.open(BytesIO(blobs.get(key)), "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if mark in line:
                yield line.rstrip("\n")
