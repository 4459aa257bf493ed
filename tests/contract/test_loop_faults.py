"""Loops and begun steps under lost replies and other callers, and a loop of 10,000 in figures."""

from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, FencedError, UnavailableError
from chalicelib.domain.job import LoopGroup, LoopRun, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import GROUP_SIZE, instance_name, new_group
from chalicelib.domain.values import Payload, StepRef
from chalicelib.engine.ports import SeedRecords
from chalicelib.store import dynamo
from chalicelib.store.jobs_table import JobsTable
from tests.contract.cost_meter import size
from tests.contract.faults import meanwhile, no_reply, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.builders import a_begin, a_blob_ref, a_claim, a_job
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)
MANY = 10_000


@pytest.fixture
def jobs(remote):
    return JobsTable(remote.table("JobsTable"), REGION, remote.host)


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


def a_loop(jobs, job, total=3):
    run = LoopRun(total, Payload(ref=a_blob_ref()))
    begin = a_begin(job.job_id, "each", status=StepStatus.RUNNING, lease="loop", loop=run)
    jobs.begin_group(job.job_id, "each", new_group(0, total))
    return jobs.begin_step(begin)


def test_a_step_is_begun_once_and_handed_back_once(jobs, job, dynamodb):
    begin = a_begin(job.job_id)
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        assert jobs.begin_step(begin).status is StepStatus.READY
    assert lost
    claim = a_claim(job.job_id)
    jobs.claim_step(claim)
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        record = jobs.hand_back(claim.ref, 1, claim.lease, "back")
    assert lost
    assert (record.status, record.lease) == (StepStatus.READY, None)


def test_a_begin_that_another_came_before_conflicts(jobs, job, dynamodb):
    other = a_begin(job.job_id, status=StepStatus.SKIPPED)
    with (
        meanwhile(dynamodb, "UpdateItem", 1, lambda: jobs.begin_step(other)),
        pytest.raises(ConflictError, match="is skipped at attempt 1"),
    ):
        jobs.begin_step(a_begin(job.job_id))
    assert jobs.load(job.job_id).steps["build"].nonce == other.nonce


def test_a_hand_back_that_another_lease_came_before_is_fenced_off(jobs, job, dynamodb):
    stale, fresh = a_claim(job.job_id), a_claim(job.job_id)
    jobs.claim_step(stale)

    def lost_and_claimed_again():
        jobs.hand_back(stale.ref, 1, stale.lease, "sweep")
        jobs.claim_step(fresh)

    with (
        meanwhile(dynamodb, "UpdateItem", 1, lost_and_claimed_again),
        pytest.raises(FencedError),
    ):
        jobs.hand_back(stale.ref, 1, stale.lease, "worker")
    assert jobs.load(job.job_id).steps["build"].lease == fresh.lease


def test_one_of_two_callers_sends_what_lies_below_the_mark(jobs, job, dynamodb):
    a_loop(jobs, job, 50)
    told = []

    def other():
        told.append(jobs.mark_sent(job.job_id, "each", 20))

    with meanwhile(dynamodb, "UpdateItem", 1, other):
        told.append(jobs.mark_sent(job.job_id, "each", 30))
    # The first sends 0 to 19, the second 20 to 29.
    assert told == [0, 20]


def test_a_mark_whose_reply_was_lost_is_told_to_the_one_who_made_it(jobs, job, dynamodb):
    a_loop(jobs, job, 50)
    jobs.mark_sent(job.job_id, "each", 10)
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        assert jobs.mark_sent(job.job_id, "each", 30) == 10
    assert lost
    assert jobs.mark_sent(job.job_id, "each", 30) == 30


def test_an_instance_leaves_its_group_once_when_the_reply_is_lost(jobs, job, dynamodb):
    a_loop(jobs, job)
    ref = StepRef(job.job_id, "each[1]")
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        assert jobs.leave_group(ref, failed=True) == LoopGroup(0, {0, 2}, {1})
    assert lost
    with no_reply(dynamodb, "UpdateItem"), pytest.raises(UnavailableError):
        jobs.leave_group(StepRef(job.job_id, "each[2]"), failed=False)
    assert jobs.leave_group(StepRef(job.job_id, "each[2]"), failed=False) == LoopGroup(0, {0}, {1})


def test_of_two_that_leave_a_group_at_once_one_sees_it_empty(jobs, job, dynamodb):
    a_loop(jobs, job, 2)
    seen = []

    def leave(index):
        seen.append(jobs.leave_group(StepRef(job.job_id, f"each[{index}]"), failed=False).open)

    with meanwhile(dynamodb, "UpdateItem", 1, lambda: leave(1)):
        leave(0)
    assert seen == [{0}, frozenset()]


def test_a_seed_that_broke_off_is_finished_by_its_repeat(jobs, job, dynamodb):
    def ended(step):
        return StepRecord(step=step, status=StepStatus.COMPLETED, attempt=1, nonce="seed")

    seed = SeedRecords(
        steps=(ended("done"),),
        instances=tuple(ended(f"each[{index}]") for index in range(60)),
        loops={"each": (LoopGroup(0, frozenset({61})),)},
    )
    with no_reply(dynamodb, "BatchWriteItem"), pytest.raises(UnavailableError):
        jobs.seed(job.job_id, seed)
    assert not jobs.get(job.job_id).is_seeded
    jobs.seed(job.job_id, seed)
    assert jobs.get(job.job_id).is_seeded
    assert len(jobs.load_instances(job.job_id, "each", 0, 63)) == 60


@pytest.mark.slow
def test_a_loop_of_10000_stays_readable_in_one_query(emulator, capsys):
    jobs = JobsTable(emulator.table("JobsTable"), REGION, emulator.host)
    client, calls, read = dynamo.connection(REGION, emulator.host).client, Counter(), []

    def count(model, parsed, **_):
        calls[model.name] += 1
        if model.name == "Query":
            read.append(sum(size(item) for item in parsed["Items"]))

    job = jobs.create(a_job())
    groups = tuple(new_group(number, MANY) for number in range(-(-MANY // GROUP_SIZE)))
    instances = tuple(
        StepRecord(
            step=instance_name("each", index),
            status=StepStatus.COMPLETED,
            attempt=1,
            nonce=f"{index:024x}/worker",
            lease=f"{index:024x}",
            session=job.job_id,
            worker="worker-1",
            started_at=NOON,
            completed_at=NOON,
            output=Payload({"artifact": f"part-{index}.tar.gz"}),
        )
        for index in range(MANY)
    )
    client.meta.events.register("after-call.dynamodb", count)
    try:
        jobs.seed(job.job_id, SeedRecords(steps=(), instances=instances, loops={"each": groups}))
        seeding = dict(calls)
        calls.clear()
        state = jobs.load(job.job_id)
        loading, main = dict(calls), sum(read)
        calls.clear()
        read.clear()
        found = jobs.load_instances(job.job_id, "each", 0, MANY - 1)
        fetching, all_of_them = dict(calls), sum(read)
    finally:
        client.meta.events.unregister("after-call.dynamodb", count)
    with capsys.disabled():
        print(  # noqa: T201 - the figures that this test is for
            f"\n{len(groups)} groups: load {loading}, {main} bytes; "
            f"{MANY} instances: {fetching}, {all_of_them} bytes; seeded with {seeding}"
        )
    assert len(found) == MANY
    assert {number: group.open for number, group in state.loops["each"].items()} == {
        group.number: group.open for group in groups
    }
    assert loading == {"Query": 1}
    assert main < 100_000
    assert fetching["Query"] <= -(-all_of_them // 2**20) + 1
    assert seeding == {"PutItem": len(groups), "BatchWriteItem": MANY // 25, "UpdateItem": 1}
