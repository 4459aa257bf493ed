"""What a job cost: the protocol's moves, how often the records show each, and what each uses.

Every kind of work is a row of `_ROWS`; its function reads `Facts` and says what all occasions of
it used together. What no record tells is assumed as `docs/reference/cost.md` says.
Source: protocol, "Moves" and "Cost budget".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from chalicelib.domain.cost_facts import (
    READ_BYTES,
    WRITE_BYTES,
    Facts,
    Mode,
    Try,
    chunk_bytes,
    meta_bytes,
    record_bytes,
    units,
)
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.loops import OPEN_GROUPS, flow_key, parallel_limit
from chalicelib.domain.prices import NOTHING, Meter, Use, gets, puts, queue, reads, writes
from chalicelib.domain.values import BlobRef
from chalicelib.domain.worker import HEARTBEAT_S

# A request to the API keeps a function of 1 GB busy for a tenth of a second.
GB_S_PER_REQUEST = 0.1
BATCH = 10
# How often a worker that runs something asks for orders; the workers' own figure.
ORDERS_S = 3

_BY_ENGINE = frozenset({SourceType.TRIGGER, SourceType.HOOK, SourceType.TASK, SourceType.RETRY})
_REQUEST = Use({Meter.INVOCATIONS: 1, Meter.COMPUTE: GB_S_PER_REQUEST, Meter.REQUESTS: 1})


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


_Tally = tuple[int, Use]


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    what: str
    of: Callable[[Facts], _Tally]


def _create(facts: Facts) -> _Tally:
    """META with its two index entries, after a look at the workspace; large input as objects."""
    job = facts.job
    use = reads(1) + writes(units(meta_bytes(job), WRITE_BYTES) + 2)
    use += puts(sum(ref is not None for ref in (job.input.ref, job.secret_input)))
    return 1, use if job.source_type in _BY_ENGINE else use + _REQUEST


def _start(facts: Facts) -> _Tally:
    """The first claim makes META running, and moves its row in the list."""
    if facts.job.started_at is None:
        return 0, NOTHING
    return 1, writes(units(meta_bytes(facts.job), WRITE_BYTES) + 1)


def _seed(facts: Facts) -> _Tally:
    """A re-run reads what it takes over, writes it, and notes in META that it has."""
    if not facts.job.is_seeded:
        return 0, NOTHING
    written = sum(units(record_bytes(one), WRITE_BYTES) for one in facts.taken_over)
    meta = units(meta_bytes(facts.job), WRITE_BYTES)
    return len(facts.taken_over), gets(1) + writes(written + meta)


def _note(facts: Facts) -> _Tally:
    count = len(facts.state.notes)
    return count, writes(count)


def _send(facts: Facts) -> _Tally:
    sent = facts.queued
    batches = sum(ceil(count / BATCH) for count in sent.values()) + _retried(facts)
    return batches, queue(batches)


def _receive(facts: Facts) -> _Tally:
    """A direct worker takes what was sent together at once; one behind the API one at a time."""
    messages = sum(facts.queued.values()) + _retried(facts)
    batches, _ = _send(facts)
    asked = batches if facts.mode is Mode.DIRECT else messages
    return messages, queue(asked + messages)


def _retried(facts: Facts) -> int:
    return sum(one.number > 1 for one in facts.tries)


def _claim(facts: Facts) -> _Tally:
    """The claim, META, and again META with the records whose outputs the input reads."""
    use = NOTHING
    for one in facts.tries:
        use += _claimed(facts, one)
    return len(facts.tries), use


def _claimed(facts: Facts, one: Try) -> Use:
    """An instance of a loop reads META before its claim too, and its loop's record after it."""
    meta = units(meta_bytes(facts.job), READ_BYTES)
    use = writes(units(_bare_bytes(one.record), WRITE_BYTES)) + reads(
        meta * (2 if one.loop else 1)
    )
    needed = (*facts.needs.get(flow_key(one.record.step), ()), *((one.loop,) if one.loop else ()))
    records = [facts.state.steps[need] for need in needed if need in facts.state.steps]
    if needed:
        use += reads(meta + sum(units(record_bytes(found), READ_BYTES) for found in records))
    refs = (facts.job.input.ref, facts.job.secret_input, *(r.output.ref for r in records))
    return use + gets(sum(ref is not None for ref in refs))


def _complete(facts: Facts) -> _Tally:
    """The end, then the whole job; a failure first reads META and the record, for its policy."""
    ended = [one for one in facts.tries if one.ended is not None]
    use = NOTHING
    for one in ended:
        use += _completed(facts, one)
    return len(ended), use


def _completed(facts: Facts, one: Try) -> Use:
    meta = units(meta_bytes(facts.job), READ_BYTES)
    size = record_bytes(one.record)
    use = writes(units(size, WRITE_BYTES))
    use += puts(int(one.is_last and one.record.output.ref is not None))
    if one.failed:
        use += reads(meta + units(size, READ_BYTES))
    elif one.loop or one.record.status is StepStatus.CANCELLED:
        use += reads(meta)
    # A retry is sent without a look at the job; what follows an instance, its loop counts.
    return use + reads(facts.units_of_load(one.ended)) if one.is_last and not one.loop else use


def _bare_bytes(record: StepRecord) -> int:
    """Return the record's length without what its end added."""
    return record_bytes(record) - len(record.error or "") if record.history else 0


def _begin(facts: Facts) -> _Tally:
    """What the engine decided: a write and a look at the job each; another write for its end."""
    use = NOTHING
    for one in facts.begun:
        # What runs or waits by the engine's hand is ended by it too; a skip is its own end.
        by_engine = one.session is None and (one.started_at or one.suspended_at) is not None
        count = 2 if by_engine and one.completed_at is not None else 1
        use += writes(count * units(record_bytes(one), WRITE_BYTES))
        use += reads(count * facts.units_of_load(one.completed_at))
        use += puts(sum(ref is not None for ref in _engine_refs(one)))
    return len(facts.begun), use


def _engine_refs(one: StepRecord) -> tuple[BlobRef | None, ...]:
    """Return what the engine stored for the record: the items, and the output that it made."""
    return (one.loop.items.ref if one.loop else None, None if one.session else one.output.ref)


def _loop(facts: Facts) -> _Tally:
    """Groups are written, left by each instance that ended, and the job looked at in between."""
    use, count = NOTHING, 0
    for key, groups in facts.state.loops.items():
        record = facts.state.steps.get(key)
        instances = facts.state.instances.get(key, {}).values()
        ended = sum(one.status.is_terminal for one in instances)
        limit = parallel_limit(facts.flow.steps[key])
        # With a limit each end lets another begin; without one it is the groups' ends that count.
        waves = max(1, len(instances) - limit + 1) if limit else ceil(len(groups) / OPEN_GROUPS)
        looks = ended if limit else sum(not group.open for group in groups.values())
        use += writes(len(groups) + ended + waves) + reads(1 + looks * facts.units_of_load())
        kept = units(sum(map(record_bytes, instances)), READ_BYTES)
        is_complete = record is not None and record.status is StepStatus.COMPLETED
        # All are read for the loop's output, and again for the archive.
        use += reads(kept * (is_complete + facts.job.status.is_terminal))
        use += gets(
            int(record is not None and record.loop is not None and bool(record.loop.items.ref))
        )
        count += len(groups)
    return count, use


def _watch(facts: Facts) -> _Tally:
    """While it runs steps of the job, a worker looks at META for a cancellation.

    It does so at each heartbeat, and at each time it asks for orders: a request, behind the API.
    """
    beats = sum(int(busy_s // HEARTBEAT_S) for busy_s in facts.busy_s.values())
    orders = sum(int(busy_s // ORDERS_S) for busy_s in facts.busy_s.values())
    use = reads((beats + orders) * units(meta_bytes(facts.job), READ_BYTES))
    return beats + orders, use + _REQUEST * orders if facts.mode is Mode.HTTP else use


def _log(facts: Facts) -> _Tally:
    use = NOTHING
    for chunk in facts.chunks:
        use += writes(units(chunk_bytes(chunk), WRITE_BYTES)) + puts(int(chunk.ref is not None))
    return len(facts.chunks), use


def _worker_api(facts: Facts) -> _Tally:
    """Claims, reports and log chunks as requests; a report may bring the next step with it."""
    if facts.mode is not Mode.HTTP:
        return 0, NOTHING
    claims, _ = _receive(facts)
    reports = sum(one.ended is not None for one in facts.tries)
    chunks = len(facts.chunks)
    # A claim reads the session, a chunk META and the step, a report all three.
    count = claims + reports + chunks
    return count, _REQUEST * count + reads(claims + 3 * reports + 2 * chunks)


def _look(facts: Facts) -> _Tally:
    """The sweep reads the job and a running step's session, and moves the entry in `due`."""
    looks = facts.job.looks
    write = units(meta_bytes(facts.job), WRITE_BYTES) + 2
    return looks, (reads(facts.units_of_load() + 1) + writes(write)) * looks


def _cancel(facts: Facts) -> _Tally:
    """META is read, and the job around the halting, after each end, and for the archive."""
    if facts.job.status is not JobStatus.CANCELLED:
        return 0, NOTHING
    halted = [one for one in facts.state.steps.values() if one.halted]
    running = sum(one.record.halted and one.is_last for one in facts.tries)
    looks = 3 + running + bool(halted)
    use = reads(1 + looks * facts.units_of_load()) + writes(2)
    return 1, use + writes(sum(units(record_bytes(one), WRITE_BYTES) for one in halted)) + _REQUEST


def _finish(facts: Facts) -> _Tally:
    """META's end with its row in the list."""
    if not facts.job.status.is_terminal:
        return 0, NOTHING
    return 1, writes(units(meta_bytes(facts.job), WRITE_BYTES) + 1)


def _after(facts: Facts) -> _Tally:
    """Slots, the parent, hooks and the next try are crossed off; then the job is read again."""
    job = facts.job
    if not job.status.is_terminal:
        return 0, NOTHING
    left = sum((bool(job.slots), job.retry_job is not None, job.parent is not None, facts.hooks))
    # Crossing one of several off tries first whether it is the last.
    use = writes(2 * left + 2 * len(job.slots)) + reads(len(job.slots))
    return left, use + reads(facts.units_of_load()) if left else use


def _archive(facts: Facts) -> _Tally:
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
    _Row("send", "ready steps are sent, up to ten at a time", _send),
    _Row("receive", "messages are received and deleted", _receive),
    _Row("start", "the job is marked as running", _start),
    _Row("claim", "attempts are claimed and rendered", _claim),
    _Row("complete", "attempts end and the job goes on", _complete),
    _Row("begin", "the engine decides on steps", _begin),
    _Row("loop", "groups of a loop's instances are kept", _loop),
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
