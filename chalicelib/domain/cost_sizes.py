"""How long the items are that a job is kept in, and how many units a write or a read of them is.

The one rule: lengths are estimates; the tests of the budget hold them to what is written.
Source: Amazon DynamoDB, item sizes and formats.
"""

from __future__ import annotations

import json
import zlib
from math import ceil

from chalicelib.domain.job import Job, StepRecord
from chalicelib.domain.logs import LogChunk
from chalicelib.domain.loops import flow_key, instance_of
from chalicelib.domain.values import NO_PAYLOAD, BlobRef, Payload

WRITE_BYTES = 1024
READ_BYTES = 4096
# Keys, names of attributes and values of fixed length; measured, see tests/contract.
_META_BYTES = 365
_PARENT_BYTES = 75
_SLOT_BYTES = 40
_RECORD_BYTES = 229
_INSTANCE_BYTES = 11
_OUTPUT_BYTES = 16
_ENDED_BYTES = 37
_PAST_BYTES = 115
GROUP_BYTES = 90
CHUNK_ITEM_BYTES = 100
REF_BYTES = 170


def units(size: int, of: int) -> int:
    """Return how many units of `of` bytes an item or a read of `size` bytes is, at least 1."""
    return max(1, ceil(size / of))


def meta_bytes(job: Job) -> int:
    """Estimate how long the job's META item is."""
    texts = (job.workspace, job.workspace, job.task, job.revision, job.source_id, job.reason)
    return (
        _META_BYTES
        + sum(len(text.encode()) for text in texts if text)
        + payload_bytes(job.input)
        + _ref_bytes(job.secret_input)
        + _ref_bytes(job.seed)
        + (_PARENT_BYTES if job.parent else 0)
        + sum(_SLOT_BYTES + len(slot.key.encode()) for slot in job.slots)
    )


def record_bytes(record: StepRecord) -> int:
    """Estimate how long the item of a step's record is."""
    texts = (flow_key(record.step), record.worker, record.error, record.child)
    return (
        _RECORD_BYTES
        + (_INSTANCE_BYTES if instance_of(record.step) else 0)
        + sum(len(text.encode()) for text in texts if text)
        + (_OUTPUT_BYTES + payload_bytes(record.output) if record.output != NO_PAYLOAD else 0)
        + (payload_bytes(record.loop.items) if record.loop else 0)
        + (_ENDED_BYTES if record.completed_at else 0)
        + sum(_PAST_BYTES + len(past.error.encode()) for past in record.history)
    )


def chunk_bytes(chunk: LogChunk) -> int:
    """Estimate how long the item of a log chunk is; its text is kept packed."""
    return CHUNK_ITEM_BYTES + len(zlib.compress(chunk.text.encode())) + _ref_bytes(chunk.ref)


def payload_bytes(payload: Payload) -> int:
    """Return how many bytes of its item a payload takes."""
    if payload.ref is not None:
        return _ref_bytes(payload.ref)
    if payload.inline is None:
        return 0
    return len(json.dumps(payload.inline, ensure_ascii=False, separators=(",", ":")).encode())


def _ref_bytes(ref: BlobRef | None) -> int:
    return 0 if ref is None else REF_BYTES
