"""What items weigh and what moves cost, by DynamoDB's own rules of counting.

What whole jobs cost stands in test_cost_budget.py. Source: decision 14; protocol, cost budget.
"""

from datetime import timedelta

from chalicelib.domain.job import AfterAction, LoopGroup, LoopRun, Note, PastAttempt, Slot
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import new_group
from chalicelib.domain.values import Payload
from chalicelib.engine.ports import Waiter
from chalicelib.store.claims import MOST_RERUNS
from chalicelib.store.jobs_table import JobsTable
from chalicelib.store.logs_table import LogsTable
from chalicelib.store.registry_table import RegistryTable
from chalicelib.store.slots_table import SlotsTable
from tests.contract.cost_meter import cost_of_change, indexes_of, size
from tests.contract.places import REGION
from tests.fakes.builders import (
    a_begin,
    a_blob_ref,
    a_chunk,
    a_claim,
    a_job,
    a_job_end,
    a_retry,
    a_workspace,
    an_end,
)
from tests.fakes.clock import NOON

LIMIT = 32 * 1024
MINUTE = timedelta(minutes=1)


class Meter:
    """Counts write units by looking at a table before and after a move."""

    def __init__(self, client, table):
        self._client = client
        self._table = table
        self._indexes = indexes_of("JobsTable")

    def items(self):
        rows = self._client.scan(TableName=self._table)["Items"]
        return {(row["pk"]["S"], row["sk"]["S"]): row for row in rows}

    def cost_of(self, move):
        before = self.items()
        move()
        after = self.items()
        total = 0
        for key in before.keys() | after.keys():
            old, new = before.get(key, {}), after.get(key, {})
            if old == new:
                continue
            total += cost_of_change(old, new, self._indexes)
        return total


def test_each_move_costs_what_the_budget_says(moto):
    table = moto.table("JobsTable")
    jobs = JobsTable(table, REGION)
    meter = Meter(moto.client("dynamodb"), table)
    job = a_job(job_id="0192f1c8-0000-7000-8000-000000000001", input=Payload({"branch": "main"}))
    first, second = a_claim(job.job_id), a_claim(job.job_id, attempt=2, at=NOON + MINUTE)
    retry, end = a_retry(first), an_end(second, output=Payload({"ok": True}))
    after = frozenset({AfterAction.ARCHIVE_LOG})
    moves = {
        "create": lambda: jobs.create(job),
        "start": lambda: jobs.start(job.job_id, NOON),
        "claim": lambda: jobs.claim_step(first),
        "retry": lambda: jobs.retry_step(retry),
        "claim again": lambda: jobs.claim_step(second),
        "end": lambda: jobs.end_step(end),
        "postpone to the same": lambda: jobs.postpone(job.job_id, job.due, 1),
        "postpone": lambda: jobs.postpone(job.job_id, job.due + MINUTE, 2),
        "finish": lambda: jobs.finish(
            job.job_id, a_job_end(JobStatus.COMPLETED, nonce="n" * 32, after=after)
        ),
        "tidied": lambda: jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG),
    }
    assert {name: meter.cost_of(move) for name, move in moves.items()} == {
        "create": 3,
        "start": 2,
        "claim": 1,
        "retry": 1,
        "claim again": 1,
        "end": 1,
        "postpone to the same": 1,
        "postpone": 3,
        "finish": 2,
        "tidied": 2,
    }


def test_each_move_of_a_loop_and_of_a_limited_job_costs_what_the_budget_says(moto):
    table = moto.table("JobsTable")
    jobs, slots = JobsTable(table, REGION), SlotsTable(table, REGION)
    meter = Meter(moto.client("dynamodb"), table)
    slot = Slot("task/demo/build", 1)
    job = jobs.create(a_job(slots=(slot,)))
    begin = a_begin(
        job.job_id,
        "each",
        status=StepStatus.RUNNING,
        lease="loop",
        loop=LoopRun(64, Payload([*range(64)])),
    )
    claim = a_claim(job.job_id, "each[63]")
    waiter = Waiter(job_id=job.job_id, priority=job.priority, since=NOON)
    moves = {
        "wait": lambda: slots.wait(slot.key, waiter),
        "take": lambda: slots.take(slot, job.job_id),
        "leave the line": lambda: slots.leave_line(slot.key, waiter),
        "admit": lambda: jobs.admit(job.job_id, NOON),
        "begin": lambda: jobs.begin_step(begin),
        "begin a group": lambda: jobs.begin_group(job.job_id, "each", new_group(0, 64)),
        "mark": lambda: jobs.mark_sent(job.job_id, "each", 64),
        "claim": lambda: jobs.claim_step(claim),
        "end": lambda: jobs.end_step(an_end(claim)),
        "leave the group": lambda: jobs.leave_group(claim.ref, failed=False),
        "tell": lambda: jobs.tell(job.job_id, Note("key", NOON, "text")),
        "give back": lambda: slots.give_back(slot.key, job.job_id),
    }
    # Its row in the list shows whether a job is paused.
    shown = {"pause": lambda: jobs.pause(job.job_id, paused=True)}
    assert {name: meter.cost_of(move) for name, move in moves.items()} == dict.fromkeys(moves, 1)
    assert {name: meter.cost_of(move) for name, move in shown.items()} == {"pause": 2}


def test_a_completed_step_with_a_short_output_weighs_at_most_400_bytes(moto):
    table = moto.table("JobsTable")
    jobs = JobsTable(table, REGION)
    job = jobs.create(a_job())
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    jobs.end_step(an_end(claim, output=Payload({"artifact": "app.tar.gz", "size": 10240})))
    items = Meter(moto.client("dynamodb"), table).items()
    assert size(items[f"JOB#{job.job_id}", "STEP#build"]) <= 400
    assert size(items[f"JOB#{job.job_id}", "META"]) <= 600


def test_no_item_exceeds_32_kilobytes(moto):
    """Each is filled to the engine's limits: 1 KB an error or payload, 10 attempts."""
    tables = [moto.table(name) for name in ("JobsTable", "RegistryTable", "LogsTable")]
    jobs, registry = JobsTable(tables[0], REGION), RegistryTable(tables[1], REGION)
    text = "ü" * 512
    places = tuple(Slot("k" * 255 + str(number), 500) for number in range(3))
    given = {"slots": places, "seed": a_blob_ref(), "reason": text}
    job = jobs.create(
        a_job(
            input=Payload(text[:500]), secret_input=a_blob_ref(), request_hash="ab" * 32, **given
        )
    )
    for number in range(MOST_RERUNS):
        jobs.add_rerun(job.job_id, f"{number:036d}")
    jobs.tell(job.job_id, Note("n" * 255, NOON, text))
    loop = LoopRun(10_000, Payload(text[:500]))
    jobs.begin_step(
        a_begin(job.job_id, "l" * 255, status=StepStatus.RUNNING, lease="l" * 36, loop=loop)
    )
    jobs.mark_sent(job.job_id, "l" * 255, 10_000)
    last = frozenset(range(9_900, 9_964))
    jobs.begin_group(job.job_id, "l" * 255, LoopGroup(154, last, last))
    slots = SlotsTable(tables[0], REGION)
    for number in range(500):
        slots.take(places[0], f"{number:036d}")
    claim = a_claim(job.job_id, "s" * 255)
    for attempt in range(2, 11):
        jobs.claim_step(claim)
        past = PastAttempt(
            attempt=claim.attempt, error=text, started_at=claim.at, failed_at=claim.at
        )
        jobs.retry_step(a_retry(claim, past=past))
        claim = a_claim(job.job_id, "s" * 255, attempt=attempt, at=claim.at + MINUTE)
    jobs.claim_step(claim)
    jobs.end_step(an_end(claim, StepStatus.FAILED, error=text, output=Payload(text[:500])))
    LogsTable(tables[2], REGION).append(a_chunk(job.job_id, text="ü" * 4096), NOON)
    findings = ("tasks.yaml:3:5: there is no action of this name " * 4,) * 5000
    workspace = a_workspace(error="ü" * 100_000, warnings=findings)
    registry.put_workspace(workspace, None)
    registry.put_workspace(workspace, workspace)
    sizes = [
        size(item)
        for table in tables
        for item in Meter(moto.client("dynamodb"), table).items().values()
    ]
    assert len(sizes) == 8
    assert max(sizes) <= LIMIT


def test_a_chunk_of_log_lines_is_kept_in_a_quarter_of_its_length(moto):
    table = moto.table("LogsTable")
    chunk = a_chunk("job", lines=80)
    LogsTable(table, REGION).append(chunk, NOON)
    (item,) = Meter(moto.client("dynamodb"), table).items().values()
    assert 4 * size(item) < len(chunk.text)
    assert int(item["expires"]["N"]) == NOON.timestamp()


def test_every_item_says_the_version_of_its_schema(moto):
    tables = [moto.table(name) for name in ("JobsTable", "RegistryTable", "LogsTable")]
    jobs = JobsTable(tables[0], REGION)
    jobs.claim_step(a_claim(jobs.create(a_job()).job_id))
    RegistryTable(tables[1], REGION).put_workspace(a_workspace(), None)
    LogsTable(tables[2], REGION).append(a_chunk("job"), NOON)
    client = moto.client("dynamodb")
    items = [item for table in tables for item in Meter(client, table).items().values()]
    assert [item["v"] for item in items] == [{"N": "1"}] * 4
