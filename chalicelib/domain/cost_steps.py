"""What became of a job's steps, and what each move of theirs uses: claims, ends, decisions, loops.

The one rule: each function reads `Facts` and says how often, and what all that used together.
Source: protocol, "Moves".
"""

from __future__ import annotations

from math import ceil
from typing import TypeAlias

from chalicelib.domain.approvals import TIMED_OUT
from chalicelib.domain.cost_facts import Facts, Try
from chalicelib.domain.cost_sizes import READ_BYTES, WRITE_BYTES, meta_bytes, record_bytes, units
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import OPEN_GROUPS, flow_key, parallel_limit
from chalicelib.domain.prices import NOTHING, Meter, Use, gets, puts, reads, writes
from chalicelib.domain.values import BlobRef

Tally: TypeAlias = tuple[int, Use]

# A request to the API keeps a function of 1 GB busy for a tenth of a second.
GB_S_PER_REQUEST = 0.1
REQUEST = Use({Meter.INVOCATIONS: 1, Meter.COMPUTE: GB_S_PER_REQUEST, Meter.REQUESTS: 1})


def claims(facts: Facts) -> Tally:
    """The claim; then META, in one batch with the records that the templates read."""
    use = NOTHING
    for one in facts.tries:
        use += _claimed(facts, one)
    return len(facts.tries), use


def _claimed(facts: Facts, one: Try) -> Use:
    """An instance of a loop reads its loop's record too."""
    steps = facts.state.steps
    needed = (*facts.needs.get(flow_key(one.record.step), ()), *((one.loop,) if one.loop else ()))
    records = [steps[need] for need in needed if need in steps]
    use = writes(units(_bare_bytes(one.record), WRITE_BYTES))
    if not facts.comes_with_whole(one):
        found = sum(units(record_bytes(record), READ_BYTES) for record in records)
        # What is asked for and is not there is a unit, too.
        missing = len(needed) - len(records)
        use += reads(units(meta_bytes(facts.job), READ_BYTES) + found + missing)
    refs = (facts.job.input.ref, facts.job.secret_input, *(r.output.ref for r in records))
    return use + gets(sum(ref is not None for ref in refs))


def ends(facts: Facts) -> Tally:
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
    elif one.record.status is StepStatus.CANCELLED:
        use += reads(meta)
    # A retry is sent without a look at the job; what follows an instance, its loop counts.
    is_looked_at = one.is_last and not one.loop and not facts.is_all_that_follows(one)
    return use + reads(facts.units_of_load(one.ended)) if is_looked_at else use


def _bare_bytes(record: StepRecord) -> int:
    """Return the record's length without what its end added."""
    return record_bytes(record) - len(record.error or "") if record.history else 0


def decisions(facts: Facts) -> Tally:
    """What the engine decided: a write and a look at the job each; another write for its end."""
    use = NOTHING
    for one in facts.begun:
        # What runs or waits by the engine's hand is ended by it too; a skip is its own end.
        by_engine = one.session is None and (one.started_at or one.suspended_at) is not None
        count = 2 if by_engine and one.completed_at is not None else 1
        # A sub-job that failed was begun and sent back, and the sweep has to come for the next.
        again = sum(past.child is not None for past in one.history)
        count += 2 * again
        use += writes(count * units(record_bytes(one), WRITE_BYTES))
        use += writes(again * units(meta_bytes(facts.job), WRITE_BYTES))
        use += reads(count * facts.units_of_load(one.completed_at))
        use += puts(sum(ref is not None for ref in _engine_refs(one)))
        use += _children_made(one) + _asked(facts, one)
    return len(facts.begun), use


def _children_made(one: StepRecord) -> Use:
    """Before a sub-job is made it is looked for; then its parent is, which may be paused."""
    made = (one.child, *(past.child for past in one.history))
    return reads(2 * sum(child is not None for child in made))


def _asked(facts: Facts, one: StepRecord) -> Use:
    """That people were told of an approval is written; who answers has it read before."""
    if one.suspended_at is None:
        return NOTHING
    where = f"/{one.step}/{one.attempt}"
    use = writes(int(any(note.key.endswith(where) for note in facts.state.notes)))
    is_answered = one.status in (StepStatus.COMPLETED, StepStatus.FAILED)
    if one.completed_at is None or not is_answered or one.error == TIMED_OUT:
        return use
    return use + reads(units(meta_bytes(facts.job), READ_BYTES) * 2 + 1) + REQUEST


def _engine_refs(one: StepRecord) -> tuple[BlobRef | None, ...]:
    """Return what the engine stored for the record: the items, and the output that it made."""
    return (one.loop.items.ref if one.loop else None, None if one.session else one.output.ref)


def rounds(facts: Facts) -> Tally:
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
