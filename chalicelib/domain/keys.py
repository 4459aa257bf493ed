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
# In the index `due`, what is to be told outside.
DELIVERIES_DUE_PK = "DELIVERIES"
WORKERS_PK = "WORKERS"
POOLS_PK = "POOLS"
WORKER_GROUPS_PK = "WORKER_GROUPS"
EVENT_SOURCES_PK = "EVENT_SOURCES"
ACL_PK = "ACL"
ROLES_PK = "ROLES"
USERS_PK = "USERS"
EMAILS_PK = "EMAILS"
API_KEYS_PK = "API_KEYS"
DEVICE_GRANTS_PK = "DEVICE_GRANTS"


def sessions_pk(user_id: str) -> str:
    """Return the partition of a user's sessions."""
    return f"SESSIONS#{user_id}"


def identities_pk(issuer: str) -> str:
    """Return the partition of those who come from an issuer; its items are their subjects."""
    return f"IDENTITIES#{issuer}"


def throttle_pk(name: str) -> str:
    """Return the partition of a throttle: of log-ins from one place, say."""
    return f"THROTTLE#{name}"


def hook_pk(name: str) -> str:
    """Return the partition of a webhook's name; the workspaces that have it are in it."""
    return f"HOOK#{name}"


def hook_seen_pk(hook: str) -> str:
    """Return the partition of the deliveries that a webhook took lately."""
    return f"HOOK_SEEN#{hook}"


def hook_calls_pk(hook: str) -> str:
    """Return the partition of a webhook's calls by the minute."""
    return f"HOOK_CALLS#{hook}"


def deliveries_pk(job_id: str) -> str:
    """Return the partition of what is told outside of a job's end."""
    return f"DELIVERIES#{job_id}"


def deliveries_of(pk: str) -> str:
    """Return the job that a partition key made by `deliveries_pk` names."""
    return pk.removeprefix("DELIVERIES#")


def revisions_pk(workspace: str) -> str:
    """Return the partition of a workspace's revisions."""
    return f"WORKSPACE#{workspace}"


SOURCES_PK = "SOURCES"


def source_prefix(holder: str) -> str:
    """Return what the sort keys of the sources of all workspaces, or libraries, begin with."""
    return f"{holder}#"


def source_sk(holder: str, name: str) -> str:
    """Return the sort key of a source. All are in one partition: the tick reads it once."""
    return source_prefix(holder) + name


def source_of(sk: str) -> tuple[str, str]:
    """Return holder and name that a sort key made by `source_sk` names."""
    holder, _, name = sk.partition("#")
    return holder, name


def published_pk(workspace: str) -> str:
    """Return the partition of what was published in a workspace."""
    return f"PUBLISHED#{workspace}"


def published_sk(at: str, revision: str) -> str:
    """Return the sort key of a revision's coming into force: by time."""
    return f"{at}#{revision}"


def paused_pk(workspace: str) -> str:
    """Return the partition of a workspace's tasks whose triggers are paused."""
    return f"PAUSED#{workspace}"


# The parts of the index `due` of `registry`: one is enough, since few are written each second.
TRIGGERS_DUE = "DUE#triggers"
BACKFILLS_DUE = "DUE#backfills"
SCHEDULED_PK = "SCHEDULED"
_TRIGGERS = "TRIGGERS#"
_BACKFILLS = "BACKFILLS#"


def triggers_pk(workspace: str) -> str:
    """Return the partition of what is kept of a workspace's triggers."""
    return _TRIGGERS + workspace


def workspace_of_triggers(pk: str) -> str:
    """Return the workspace that a partition key made by `triggers_pk` names."""
    return pk.removeprefix(_TRIGGERS)


def backfills_pk(workspace: str) -> str:
    """Return the partition of a workspace's backfills."""
    return _BACKFILLS + workspace


def workspace_of_backfills(pk: str) -> str:
    """Return the workspace that a partition key made by `backfills_pk` names."""
    return pk.removeprefix(_BACKFILLS)


def audit_pk(day: str) -> str:
    """Return the partition of a day's audit records; `day` is `YYYY-MM-DD` in UTC."""
    return f"AUDIT#{day}"


def audit_sk(at: str, chain: str, number: int) -> str:
    """Return the sort key of an audit record: by time, then by the chain that it stands in."""
    return f"{at}#{chain}#{number:08d}"


def event_source_sk(workspace: str, name: str) -> str:
    """Return the sort key of an event source; without a name, of its workspace's mark."""
    return f"{workspace}/{name}"


def event_source_of(sk: str) -> tuple[str, str]:
    """Return the workspace and the name that a sort key made by `event_source_sk` has."""
    workspace, _, name = sk.partition("/")
    return workspace, name


# The highest number of a line that `log_sk` has room for.
LAST_LINE = 9_999_999_999


def log_pk(job_id: str) -> str:
    """Return the partition of a job's log chunks."""
    return f"LOG#{job_id}"


def log_sk(step: str, attempt: int, first: int) -> str:
    """Return the sort key of a chunk: by step, attempt and first line."""
    return f"{log_step_prefix(step)}{attempt:03d}#{first:010d}"


def log_step_prefix(step: str) -> str:
    """Return what all sort keys of one step's chunks begin with. `]` ends no step's name."""
    return f"{step}]#"


CONNECTION_SK = "A"
RELAY_SK = "RELAY"
_CONNECTION = "CONN#"
_WATCH = "WATCH#"


def ticket_pk(digest: str) -> str:
    """Return the partition of a ticket; `digest` is that of its secret."""
    return f"TICKET#{digest}"


def connection_pk(connection_id: str) -> str:
    """Return the partition of a connection, and of how far it was relayed."""
    return _CONNECTION + connection_id


def connection_of(pk: str) -> str:
    """Return the connection that a partition key made by `connection_pk` names; "" if none."""
    return pk[len(_CONNECTION) :] if pk.startswith(_CONNECTION) else ""


def user_connections_pk(user_id: str) -> str:
    """Return the partition of the connections that a user has open."""
    return f"USER#{user_id}"


def watch_pk(channel: str) -> str:
    """Return the partition of those who watch any topic of a channel."""
    return _WATCH + channel


def watch_sk(connection_id: str, topic_key: str) -> str:
    """Return the sort key of a subscription. No connection's id has a `#`."""
    return f"{connection_id}#{topic_key}"


def watch_of(sk: str) -> tuple[str, str]:
    """Return the connection and the topic's key that a sort key made by `watch_sk` names."""
    connection_id, _, topic_key = sk.partition("#")
    return connection_id, topic_key


def definition_blob(workspace: str, revision: str) -> str:
    """Return the key of a revision's parsed definition."""
    return f"workspaces/{workspace}/{revision}/definition.json"


def archive_blob(workspace: str, revision: str) -> str:
    """Return the key of a revision's files."""
    return f"workspaces/{workspace}/{revision}/files.tar.gz"


def library_blob(library: str, revision: str) -> str:
    """Return the key of a library's files."""
    return f"workspaces/_libraries/{library}/{revision}/files.tar.gz"


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


def may_hold_secrets(key: str) -> bool:
    """Say whether an object is one of those in which secrets may stand as they are."""
    kind = key.partition("/")[0]
    return kind in ("workspaces", "uploads", "items") or key.endswith("/secret-input.json")


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


def backfill_blob(job_id: str, digest: str) -> str:
    """Return the key of lines packed for those who begin to watch; `digest` is of which lines."""
    return f"backfills/{job_id}/{digest}.jsonl.gz"


def log_archive_blob(workspace: str, task: str, job_id: str, created_at: datetime) -> str:
    """Return the key of a job's whole log. Source: HTTP API, section 4.4."""
    day = created_at.strftime("%Y/%m/%d")
    instant = created_at.strftime("%Y-%m-%dT%H-%M-%S")
    return f"logs/{workspace}/{task}/{day}/{instant}_{job_id}.jsonl.gz"
