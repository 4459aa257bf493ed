"""Every key of every table, and of the object store: no other file knows how one is spelled.

Source: protocol, items; HTTP API, section 4.4 for the log archive.
"""

from __future__ import annotations

from datetime import datetime
from zlib import crc32

META = "META"
DUE_SHARDS = 4
_JOB = "JOB#"
_STEP = "STEP#"


def job_pk(job_id: str) -> str:
    """Return the partition that holds a job's META and step records."""
    return _JOB + job_id


def job_of(pk: str) -> str:
    """Return the job that a partition key made by `job_pk` names."""
    return pk.removeprefix(_JOB)


def step_sk(step: str) -> str:
    """Return the sort key of a step's record."""
    return _STEP + step


def step_of(sk: str) -> str:
    """Return the step that a sort key made by `step_sk` names."""
    return sk.removeprefix(_STEP)


LOOP_PREFIX = "LOOP#"
INSTANCE_PREFIX = "INST#"
NOTE_PREFIX = "NOTE#"


def loop_sk(step: str, group: int) -> str:
    """Return the sort key of one group of a loop's instances, in the job's partition."""
    return f"{LOOP_PREFIX}{step}#{group:03d}"


def loop_of(sk: str) -> tuple[str, int]:
    """Return the step and the group that a sort key made by `loop_sk` names."""
    step, _, group = sk.removeprefix(LOOP_PREFIX).rpartition("#")
    return step, int(group)


def instances_pk(job_id: str, step: str) -> str:
    """Return the partition of a loop's instances: the job's own must stay small."""
    return f"{_JOB}{job_id}#{LOOP_PREFIX}{step}"


def loop_in(pk: str) -> str:
    """Return the step that a partition key made by `instances_pk` names. No job's id has a `#`."""
    return job_of(pk).partition(f"#{LOOP_PREFIX}")[2]


def instance_sk(index: int) -> str:
    """Return the sort key of an instance's record."""
    return f"{INSTANCE_PREFIX}{index:05d}"


def instance_index(sk: str) -> int:
    """Return the index that a sort key made by `instance_sk` names."""
    return int(sk.removeprefix(INSTANCE_PREFIX))


def note_sk(key: str) -> str:
    """Return the sort key of something that the engine says about a job once."""
    return NOTE_PREFIX + key


def note_of(sk: str) -> str:
    """Return the note's key that a sort key made by `note_sk` names."""
    return sk.removeprefix(NOTE_PREFIX)


HOLDERS = "HOLDERS"
_WAIT = "WAIT#"


def slot_pk(key: str) -> str:
    """Return the partition of a concurrency limit: its holders, and who waits."""
    return f"SLOT#{key}"


def wait_sk(rank: int, since: str, job_id: str) -> str:
    """Return the sort key of a job that waits: by rank (0 is first), then by time, then by id."""
    return f"{_WAIT}{rank}#{since}#{job_id}"


def wait_of(sk: str) -> tuple[int, str, str]:
    """Return the rank, the time and the job that a sort key made by `wait_sk` names."""
    rank, since, job_id = sk.removeprefix(_WAIT).split("#", 2)
    return int(rank), since, job_id


def due_pk(job_id: str) -> str:
    """Return the shard of the `due` index that a job belongs to."""
    return due_shard(crc32(job_id.encode()) % DUE_SHARDS)


def due_shard(number: int) -> str:
    """Return the partition of one shard, from 0 up to `DUE_SHARDS`."""
    return f"DUE#{number}"


def list_sk(created_at: str, job_id: str) -> str:
    """Return the sort key of the `list` index: by time, then by id."""
    return f"{created_at}#{job_id}"


WORKSPACES_PK = "WORKSPACES"
WORKERS_PK = "WORKERS"
POOLS_PK = "POOLS"


def revisions_pk(workspace: str) -> str:
    """Return the partition of a workspace's revisions."""
    return f"WORKSPACE#{workspace}"


def paused_pk(workspace: str) -> str:
    """Return the partition of a workspace's tasks whose triggers are paused."""
    return f"PAUSED#{workspace}"


def log_pk(job_id: str) -> str:
    """Return the partition of a job's log chunks."""
    return f"LOG#{job_id}"


def log_sk(step: str, attempt: int, first: int) -> str:
    """Return the sort key of a chunk: by step, attempt and first line."""
    return f"{log_step_prefix(step)}{attempt:03d}#{first:010d}"


def log_step_prefix(step: str) -> str:
    """Return what all sort keys of one step's chunks begin with. `]` ends no step's name."""
    return f"{step}]#"


def definition_blob(workspace: str, revision: str) -> str:
    """Return the key of a revision's parsed definition."""
    return f"workspaces/{workspace}/{revision}/definition.json"


def archive_blob(workspace: str, revision: str) -> str:
    """Return the key of a revision's files."""
    return f"workspaces/{workspace}/{revision}/files.tar.gz"


def upload_blob(upload_id: str) -> str:
    """Return the key of an upload that waits to be published."""
    return f"uploads/{upload_id}.tar.gz"


def input_blob(workspace: str, job_id: str, digest: str) -> str:
    """Return the key of a job's input, where it is too large for its item.

    `digest` is that of the whole input: a repeat of an idempotent request that brings another one
    must not write over the first.
    """
    return f"jobs/{workspace}/{job_id}/{digest}/input.json"


def secret_input_blob(workspace: str, job_id: str, digest: str) -> str:
    """Return the key of the values of a job's secret inputs; `digest` as for `input_blob`."""
    return f"jobs/{workspace}/{job_id}/{digest}/secret-input.json"


def output_blob(job_id: str, step: str, attempt: int, lease: str) -> str:
    """Return the key of an attempt's output.

    The lease keeps a stale worker off the accepted one.
    """
    return f"outputs/{job_id}/{step}/{attempt:03d}-{lease}.json"


def items_blob(job_id: str, step: str, digest: str) -> str:
    """Return the key of what a loop goes over; `digest` is that of the whole list."""
    return f"items/{job_id}/{step}/{digest}.json"


def seed_blob(workspace: str, job_id: str, digest: str) -> str:
    """Return the key of what a re-run takes over; `digest` as for `input_blob`."""
    return f"jobs/{workspace}/{job_id}/{digest}/seed.json"


def chunk_blob(job_id: str, step: str, attempt: int, first: int) -> str:
    """Return the key of a log chunk that is too large for an item."""
    return f"chunks/{job_id}/{step}/{attempt:03d}-{first:010d}.jsonl.gz"


def log_archive_blob(workspace: str, task: str, job_id: str, created_at: datetime) -> str:
    """Return the key of a job's whole log. Source: HTTP API, section 4.4."""
    day = created_at.strftime("%Y/%m/%d")
    instant = created_at.strftime("%Y-%m-%dT%H-%M-%S")
    return f"logs/{workspace}/{task}/{day}/{instant}_{job_id}.jsonl.gz"
