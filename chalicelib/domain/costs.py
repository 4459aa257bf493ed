"""What a job cost: the protocol's moves, how often the records show each, and what each uses.

Every kind of work is a row of `_ROWS`; its function reads `Facts` and says what all occasions of
it used together. What no record tells is assumed as `docs/reference/cost.md` says.
Source: protocol, "Moves" and "Cost budget".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from chalicelib.domain.cost_facts import Facts, Mode
from chalicelib.domain.cost_sizes import (
    READ_BYTES,
    WRITE_BYTES,
    chunk_bytes,
    meta_bytes,
    record_bytes,
    units,
)
from chalicelib.domain.cost_steps import REQUEST, Tally, claims, decisions, ends, rounds
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.prices import NOTHING, Use, gets, puts, queue, reads, writes
from chalicelib.domain.worker import HEARTBEAT_S, SESSION_KEPT

BATCH = 10
# How often a worker that runs something asks for orders; the workers' own figure.
ORDERS_S = 3

_BY_ENGINE = frozenset({SourceType.TRIGGER, SourceType.HOOK, SourceType.TASK, SourceType.RETRY})


@dataclass(frozen=True, slots=True)
class CostLine:
    """One kind of work: how often it was done, and what that used in all."""

    kind: str
    what: str
    count: int
    use: Use


def cost_lines(facts: Facts) -> tuple[CostLine, ...]:
    """Return what the job has cost so far; kinds of work that never occurred are left out."""
    lines = (CostLine(row.kind, row.what, *row.of(facts)) for row in _ROWS)
    return tuple(line for line in lines if line.count)


def total(lines: tuple[CostLine, ...]) -> Use:
    """Return what all lines used together."""
    return sum((line.use for line in lines), start=NOTHING)


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    what: str
    of: Callable[[Facts], Tally]


def _create(facts: Facts) -> Tally:
    """META with its two index entries, after a look at the workspace; large input as objects."""
    job = facts.job
    use = reads(1) + writes(units(meta_bytes(job), WRITE_BYTES) + 2)
    # Another try of a re-run has what that one takes over from it.
    seed = None if job.source_type is SourceType.RETRY else job.seed
    use += puts(sum(ref is not None for ref in (job.input.ref, job.secret_input, seed)))
    return 1, use if job.source_type in _BY_ENGINE else use + REQUEST


def _start(facts: Facts) -> Tally:
    """The first claim makes META running, and moves its row in the list."""
    if facts.job.started_at is None:
        return 0, NOTHING
    return 1, writes(units(meta_bytes(facts.job), WRITE_BYTES) + 1)


def _seed(facts: Facts) -> Tally:
    """A re-run tells the job before it, reads and writes what it takes over, and is read again."""
    job = facts.job
    if not job.is_seeded:
        return 0, NOTHING
    written = sum(units(record_bytes(one), WRITE_BYTES) for one in facts.taken_over)
    written += units(meta_bytes(job), WRITE_BYTES)
    is_new = job.source_job is not None and job.source_type is not SourceType.RETRY
    read = units(sum(map(record_bytes, facts.taken_over)), READ_BYTES) if facts.taken_over else 0
    again = facts.units_of_load(job.created_at)
    return 1, gets(1) + writes(written + is_new) + reads(read + again)


def _admit(facts: Facts) -> Tally:
    """A place under each limit is looked for and taken; META says so, and the job goes on."""
    job = facts.job
    if not job.admitted:
        return 0, NOTHING
    count = len(job.slots)
    meta = meta_bytes(job)
    use = writes(count + units(meta, WRITE_BYTES)) + reads(count + units(meta, READ_BYTES))
    return count, use + reads(facts.units_of_load(job.created_at))


def _note(facts: Facts) -> Tally:
    count = len(facts.state.notes)
    return count, writes(count)


def _send(facts: Facts) -> Tally:
    sent = facts.queued
    batches = sum(ceil(count / BATCH) for count in sent.values()) + _retried(facts)
    return batches, queue(batches)


def _receive(facts: Facts) -> Tally:
    """A direct worker takes what was sent together at once; one behind the API one at a time."""
    messages = sum(facts.queued.values()) + _retried(facts)
    batches, _ = _send(facts)
    asked = batches if facts.mode is Mode.DIRECT else messages
    return messages, queue(asked + messages)


def _retried(facts: Facts) -> int:
    return sum(one.number > 1 for one in facts.tries)


def _watch(facts: Facts) -> Tally:
    """While it runs steps of the job, a worker looks at META for a cancellation.

    It does so at each heartbeat, and at each time it asks for orders: a request, behind the API.
    """
    beats = sum(int(busy_s // HEARTBEAT_S) for busy_s in facts.busy_s.values())
    orders = sum(int(busy_s // ORDERS_S) for busy_s in facts.busy_s.values())
    use = reads((beats + orders) * units(meta_bytes(facts.job), READ_BYTES))
    return beats + orders, use + REQUEST * orders if facts.mode is Mode.HTTP else use


def _log(facts: Facts) -> Tally:
    use = NOTHING
    for chunk in facts.chunks:
        use += writes(units(chunk_bytes(chunk), WRITE_BYTES)) + puts(int(chunk.ref is not None))
    return len(facts.chunks), use


def _worker_api(facts: Facts) -> Tally:
    """Claims, reports and log chunks as requests; a report may bring the next step with it."""
    if facts.mode is not Mode.HTTP:
        return 0, NOTHING
    claims, _ = _receive(facts)
    ended = [one.ended - one.began for one in facts.tries if one.ended is not None]
    chunks = len(facts.chunks)
    # A claim reads the session, a chunk META and the step. A report needs the session only, which
    # is known for a while after the claim.
    again = sum(took >= SESSION_KEPT for took in ended)
    count = claims + len(ended) + chunks
    return count, REQUEST * count + reads(claims + again + 2 * chunks)


def _look(facts: Facts) -> Tally:
    """The sweep reads the job and a running step's session, and moves the entry in `due`."""
    looks = facts.job.looks
    write = units(meta_bytes(facts.job), WRITE_BYTES) + 2
    return looks, (reads(facts.units_of_load() + bool(facts.tries)) + writes(write)) * looks


def _cancel(facts: Facts) -> Tally:
    """META is read, and the job around the halting, after each end, and for the archive."""
    if facts.job.status is not JobStatus.CANCELLED:
        return 0, NOTHING
    halted = [one for one in facts.state.steps.values() if one.halted]
    running = sum(one.record.halted and one.is_last for one in facts.tries)
    looks = 3 + running + bool(halted)
    use = reads(1 + looks * facts.units_of_load()) + writes(2)
    return 1, use + writes(sum(units(record_bytes(one), WRITE_BYTES) for one in halted)) + REQUEST


def _finish(facts: Facts) -> Tally:
    """META's end with its row in the list."""
    if not facts.job.status.is_terminal:
        return 0, NOTHING
    return 1, writes(units(meta_bytes(facts.job), WRITE_BYTES) + 1)


def _after(facts: Facts) -> Tally:
    """Slots, the parent, hooks and the next try are crossed off; then the job is read again.

    Of the parent, META and the record of the step are read.
    """
    job = facts.job
    if not job.status.is_terminal:
        return 0, NOTHING
    left = sum((bool(job.slots), job.retry_job is not None, job.parent is not None, facts.hooks))
    # Crossing one of several off tries first whether it is the last.
    use = writes(2 * left + 2 * len(job.slots)) + reads(len(job.slots) + 2 * bool(job.parent))
    return left, use + reads(facts.units_of_load()) if left else use


def _archive(facts: Facts) -> Tally:
    """The chunks are read and written as one object; then the job leaves the index `due`."""
    if not facts.job.status.is_terminal:
        return 0, NOTHING
    kept = units(sum(map(chunk_bytes, facts.chunks)), READ_BYTES)
    large = sum(chunk.ref is not None for chunk in facts.chunks)
    tidied = units(meta_bytes(facts.job), WRITE_BYTES) + 1
    return 1, reads(kept) + gets(large) + puts(1) + writes(tidied)


_ROWS = (
    _Row("create", "the job is written", _create),
    _Row("seed", "a re-run takes over what stands", _seed),
    _Row("admit", "places under limits are taken", _admit),
    _Row("send", "ready steps are sent, up to ten at a time", _send),
    _Row("receive", "messages are received and deleted", _receive),
    _Row("start", "the job is marked as running", _start),
    _Row("claim", "attempts are claimed and rendered", claims),
    _Row("complete", "attempts end and the job goes on", ends),
    _Row("begin", "the engine decides on steps", decisions),
    _Row("loop", "groups of a loop's instances are kept", rounds),
    _Row("note", "what the engine says once is kept", _note),
    _Row("log", "chunks of lines are kept", _log),
    _Row("watch", "workers look for a cancellation", _watch),
    _Row("worker api", "requests of workers behind the API", _worker_api),
    _Row("look", "the sweep looks at the job", _look),
    _Row("cancel", "the job is cancelled", _cancel),
    _Row("finish", "the job is ended", _finish),
    _Row("after", "what the end leaves to do", _after),
    _Row("archive", "the log is archived", _archive),
)
