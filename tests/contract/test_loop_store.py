"""What every job store keeps of loops: groups, instances, the mark of what was sent, seeds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, FencedError, NotFoundError
from chalicelib.domain.job import LoopGroup, LoopRun, PastAttempt, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import GROUP_SIZE, instance_name, new_group
from chalicelib.domain.values import Payload, StepRef
from chalicelib.engine.ports import SeedRecords
from tests.fakes.builders import a_begin, a_blob_ref, a_claim, a_job, a_retry, an_end
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)
ODD = "each one #3/ø"


@pytest.fixture
def job(jobs):
    return jobs.create(a_job())


def a_loop(jobs, job, step="each", total=100):
    """Begin a loop, and the groups of all its instances."""
    run = LoopRun(total, Payload(ref=a_blob_ref()))
    begin = a_begin(job.job_id, step, status=StepStatus.RUNNING, lease="loop-1", loop=run)
    record = jobs.begin_step(begin)
    for number in range(-(-total // GROUP_SIZE)):
        jobs.begin_group(job.job_id, step, new_group(number, total))
    return record


# instances


@pytest.mark.parametrize("step", ["each", ODD])
def test_an_instance_moves_as_a_step_does_and_stands_apart_from_the_job(jobs, job, step):
    claim = a_claim(job.job_id, instance_name(step, 7))
    running = jobs.claim_step(claim)
    assert running.step == f"{step}[7]"
    jobs.retry_step(a_retry(claim))
    second = a_claim(job.job_id, claim.ref.step, attempt=2, at=NOON + MINUTE)
    jobs.claim_step(second)
    with pytest.raises(FencedError):
        jobs.end_step(an_end(claim, nonce="stale"))
    ended = jobs.end_step(an_end(second, output=Payload(3)))
    assert (ended.status, ended.attempt, len(ended.history)) == (StepStatus.COMPLETED, 2, 1)
    assert jobs.load(job.job_id).steps == {}
    assert jobs.load_steps(job.job_id, (claim.ref.step, "no")).steps == {claim.ref.step: ended}
    assert jobs.load_instances(job.job_id, step, 0, 99) == {7: ended}


def test_instances_are_loaded_by_their_indexes_and_none_of_another_loop(jobs, job):
    other = jobs.create(a_job())
    for index in (0, 9, 10, 99, 100, 9_999):
        jobs.claim_step(a_claim(job.job_id, instance_name("each", index)))
    jobs.claim_step(a_claim(job.job_id, instance_name("each2", 5)))
    jobs.claim_step(a_claim(other.job_id, instance_name("each", 5)))
    assert list(jobs.load_instances(job.job_id, "each", 0, 9_999)) == [0, 9, 10, 99, 100, 9_999]
    assert list(jobs.load_instances(job.job_id, "each", 9, 99)) == [9, 10, 99]
    assert jobs.load_instances(job.job_id, "each", 11, 98) == {}
    assert jobs.load_instances(job.job_id, "each", 5, 4) == {}


def test_some_steps_and_instances_are_loaded_together(jobs, job):
    names = ["plain", *(instance_name("each", index) for index in range(150))]
    for name in names:
        jobs.claim_step(a_claim(job.job_id, name))
    found = jobs.load_steps(job.job_id, names).steps
    assert sorted(found) == sorted(names)
    assert all(name == record.step for name, record in found.items())


# groups


def test_groups_of_a_loop_come_with_the_job(jobs, job):
    record = a_loop(jobs, job, ODD, total=70)
    state = jobs.load(job.job_id)
    assert state.steps == {ODD: record}
    assert state.loops == {
        ODD: {
            0: LoopGroup(0, frozenset(range(64))),
            1: LoopGroup(1, frozenset(range(64, 70))),
        }
    }


def test_a_group_that_is_begun_again_stays_as_it_is(jobs, job):
    a_loop(jobs, job, total=3)
    left = jobs.leave_group(StepRef(job.job_id, "each[1]"), failed=True)
    jobs.begin_group(job.job_id, "each", new_group(0, 3))
    assert jobs.load(job.job_id).loops["each"][0] == left


@pytest.mark.parametrize("failed", [False, True])
def test_an_instance_leaves_its_group_once_however_often_it_does(jobs, job, failed):
    a_loop(jobs, job, total=3)
    ref = StepRef(job.job_id, "each[1]")
    expected = LoopGroup(0, frozenset({0, 2}), frozenset({1} if failed else ()))
    assert jobs.leave_group(ref, failed=failed) == expected
    assert jobs.leave_group(ref, failed=failed) == expected
    assert jobs.load(job.job_id).loops["each"] == {0: expected}


def test_a_group_that_all_have_left_is_still_there(jobs, job):
    a_loop(jobs, job, total=2)
    for index in (0, 1, 0):
        left = jobs.leave_group(StepRef(job.job_id, f"each[{index}]"), failed=False)
    assert left == LoopGroup(0, frozenset())
    jobs.begin_group(job.job_id, "each", new_group(0, 2))
    assert jobs.load(job.job_id).loops["each"] == {0: LoopGroup(0, frozenset())}


@pytest.mark.parametrize("step", ["each[64]", "other[0]", "each"])
def test_no_group_is_made_by_leaving_one(jobs, job, step):
    a_loop(jobs, job, total=3)
    before = jobs.load(job.job_id)
    with pytest.raises(ConflictError, match="no instance of a begun loop"):
        jobs.leave_group(StepRef(job.job_id, step), failed=True)
    assert jobs.load(job.job_id) == before


# the mark


def test_the_mark_rises_and_says_where_it_stood(jobs, job):
    record = a_loop(jobs, job)
    sent = [jobs.mark_sent(job.job_id, "each", below) for below in (5, 20, 20, 7, 100)]
    assert sent == [0, 5, 20, 20, 20]
    marked = jobs.load(job.job_id).steps["each"]
    assert marked == replace(record, loop=replace(record.loop, sent=100))


def test_a_loop_that_does_not_run_has_no_mark(jobs, job):
    record = a_loop(jobs, job)
    jobs.claim_step(a_claim(job.job_id, "plain"))
    ended = jobs.end_step(an_end(a_claim(job.job_id, "each", lease=record.lease)))
    for step in ("each", "plain", "never"):
        with pytest.raises(ConflictError, match="no loop that runs"):
            jobs.mark_sent(job.job_id, step, 5)
    assert jobs.load(job.job_id).steps["each"] == ended
    assert "never" not in jobs.load(job.job_id).steps


# seeds


def a_record(step, **given):
    return StepRecord(
        **{"step": step, "status": StepStatus.COMPLETED, "attempt": 1, "nonce": "seed"} | given
    )


def a_seed():
    past = PastAttempt(attempt=1, error="no", started_at=NOON, failed_at=NOON, child="child-1")
    loop = LoopRun(70, Payload(ref=a_blob_ref()), sent=70)
    return SeedRecords(
        steps=(
            a_record("done", output=Payload({"n": 1}), completed_at=NOON, history=(past,)),
            a_record("each", status=StepStatus.RUNNING, loop=loop, lease="loop"),
        ),
        instances=tuple(a_record(f"each[{index}]", output=Payload(index)) for index in range(60)),
        loops={"each": (LoopGroup(0, frozenset({60, 63})), LoopGroup(1, frozenset()))},
    )


def test_a_seed_is_taken_over_whole_and_a_repeat_changes_nothing(jobs, job):
    seed = a_seed()
    jobs.seed(job.job_id, seed)
    state = jobs.load(job.job_id)
    assert state.job == replace(job, is_seeded=True)
    assert state.steps == {record.step: record for record in seed.steps}
    assert state.loops == {"each": {group.number: group for group in seed.loops["each"]}}
    found = jobs.load_instances(job.job_id, "each", 0, 69)
    assert list(found.values()) == list(seed.instances)
    jobs.seed(job.job_id, seed)
    assert jobs.load(job.job_id) == state


def test_a_seed_leaves_what_stands_there(jobs, job):
    jobs.halt_step(StepRef(job.job_id, "done"), None, NOON)
    halted = jobs.load(job.job_id).steps["done"]
    jobs.begin_group(job.job_id, "each", LoopGroup(0, frozenset({1})))
    jobs.seed(job.job_id, a_seed())
    state = jobs.load(job.job_id)
    assert state.steps["done"] == halted
    assert state.loops["each"][0] == LoopGroup(0, frozenset({1}))


def test_a_seed_of_an_absent_job_makes_none(jobs):
    with pytest.raises(NotFoundError):
        jobs.seed("nope", SeedRecords(steps=(), loops={}))
    with pytest.raises(NotFoundError):
        jobs.get("nope")
