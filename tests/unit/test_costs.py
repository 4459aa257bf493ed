"""What the records of a job say that it cost, where no whole scenario is needed for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.approvals import TIMED_OUT
from chalicelib.domain.cost_facts import Facts, Mode
from chalicelib.domain.cost_sizes import record_bytes, units
from chalicelib.domain.costs import ORDERS_S, cost_lines, total
from chalicelib.domain.job import JobState, Note, Parent, PastAttempt, Slot, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.plan import Flow
from chalicelib.domain.prices import Meter
from chalicelib.domain.values import Payload, StepRef
from chalicelib.engine.ports import StepBegin
from chalicelib.engine.queries_costs import MAX_CHILDREN, job_cost
from tests.fakes.builders import a_blob_ref, a_chunk, a_job
from tests.fakes.clock import NOON
from tests.fakes.house import House, a_flow
from workers.loop import Timing

SECOND = timedelta(seconds=1)


def a_record(step="a", **given):
    fields = {
        "step": step,
        "status": StepStatus.COMPLETED,
        "attempt": 1,
        "nonce": "n",
        "session": "s1",
        "worker": "w",
        "started_at": NOON,
        "completed_at": NOON + SECOND,
    }
    return StepRecord(**fields | given)


def facts(*records, specs=("a",), job=None, **given):
    flow = Flow(a_flow(*specs), tuple(spec.partition("<")[0] for spec in specs))
    wanted = job or a_job(started_at=NOON)
    state = JobState(wanted, {record.step: record for record in records})
    return Facts(flow=flow, state=state, **given)


def counts(found):
    return {line.kind: line.count for line in cost_lines(found)}


def units_of(found, meter):
    return total(cost_lines(found)).of(meter)


def test_a_job_that_just_stands_there_has_cost_its_creation():
    assert counts(facts(job=a_job())) == {"create": 1}


@pytest.mark.parametrize(
    ("source", "requests"), [(SourceType.API, 1), (SourceType.TRIGGER, 0), (SourceType.TASK, 0)]
)
def test_only_a_job_that_was_asked_for_cost_a_request(source, requests):
    assert units_of(facts(job=a_job(source_type=source)), Meter.REQUESTS) == requests


def test_large_inputs_are_objects():
    job = a_job(input=Payload(ref=a_blob_ref()), secret_input=a_blob_ref())
    assert units_of(facts(job=job), Meter.PUTS) == 2


def test_a_step_in_the_session_of_the_one_before_went_by_no_queue():
    chained = facts(a_record("a"), a_record("b"), specs=("a", "b<a"))
    apart = facts(a_record("a"), a_record("b", session="s2"), specs=("a", "b<a"))
    assert [units_of(one, Meter.QUEUE) for one in (chained, apart)] == [3, 6]


def chained(*records, needs=None):
    """Return facts of a flow a, b<a (and c<a, where a record of it is given), of one worker."""
    specs = ("a", "b<a", "c<a")[: len(records)]
    found = facts(*records, specs=specs, needs=needs or {})
    single = frozenset("a") if len(records) == 2 else frozenset()
    return replace(found, flow=replace(found.flow, heirs={"a": "b"}, single=single))


def reads_of(found, kind):
    line = next(line for line in cost_lines(found) if line.kind == kind)
    return line.use.of(Meter.READS)


def test_an_only_heir_is_claimed_instead_of_a_look_at_the_job():
    alone = facts(a_record("a"), a_record("b"), specs=("a", "b<a"))
    heir = chained(a_record("a"), a_record("b"))
    assert [reads_of(one, "complete") for one in (alone, heir)] == [2, 1]
    assert [reads_of(one, "claim") for one in (alone, heir)] == [2, 2]


def test_where_others_wait_too_the_heir_comes_with_the_look_at_the_job():
    found = chained(a_record("a"), a_record("b"), a_record("c", session="s2"))
    assert (reads_of(found, "complete"), reads_of(found, "claim")) == (3, 2)


def test_an_heir_of_another_worker_or_of_a_failure_is_none():
    elsewhere = chained(a_record("a"), a_record("b", session="s2"))
    failed = chained(a_record("a", status=StepStatus.FAILED), a_record("b"))
    assert [reads_of(one, "complete") for one in (elsewhere, failed)] == [2, 4]


def test_what_the_templates_read_comes_with_the_job_a_unit_each_even_if_it_is_not_there():
    found = chained(a_record("a"), a_record("b"), needs={"b": ("a", "gone")})
    assert reads_of(found, "claim") == 4


def test_a_place_under_a_limit_is_taken_and_given_back():
    slots = (Slot("task/w/t", 1), Slot("workspace/w", 9))
    job = a_job(status=JobStatus.COMPLETED, started_at=NOON, slots=slots, admitted=True)
    assert counts(facts(job=job))["admit"] == 2
    assert "admit" not in counts(facts(job=replace(job, admitted=False)))


def test_steps_of_two_pools_are_sent_apart():
    found = facts(a_record("a"), a_record("b"), specs=("a", "b"), pools={"a": "x", "b": "y"})
    assert counts(found)["send"] == 2


def test_eleven_steps_at_once_are_two_batches():
    names = [f"s{number}" for number in range(11)]
    found = facts(*map(a_record, names), specs=tuple(names))
    assert (counts(found)["send"], counts(found)["receive"]) == (2, 11)


def test_each_attempt_is_claimed_and_ended():
    past = PastAttempt(attempt=1, error="no", started_at=NOON, failed_at=NOON + SECOND)
    found = facts(a_record(attempt=2, history=(past,), started_at=NOON + 2 * SECOND))
    assert (counts(found)["claim"], counts(found)["complete"]) == (2, 2)


def test_a_record_with_a_long_history_costs_more_to_write():
    past = PastAttempt(attempt=1, error="x" * 1000, started_at=NOON, failed_at=NOON + SECOND)
    short, long = a_record(), a_record(attempt=3, history=(past, past))
    assert units(record_bytes(long), 1024) == 3
    assert units_of(facts(long), Meter.WRITES) > units_of(facts(short), Meter.WRITES) + 4


def test_a_chunk_in_the_object_store_is_put_there_and_read_for_the_archive():
    ended = a_job(status=JobStatus.COMPLETED, started_at=NOON)
    chunk = a_chunk("j", text="", ref=a_blob_ref())
    found = facts(a_record(), job=ended, chunks=(chunk,))
    assert units_of(found, Meter.PUTS) == 2
    assert units_of(found, Meter.GETS) == 1


def test_what_the_end_leaves_to_do_is_counted_beside_the_archive():
    job = a_job(status=JobStatus.FAILED, parent=Parent(StepRef("p", "s"), 1), retry_job="r")
    assert counts(facts(job=job, hooks=True))["after"] == 3


def test_a_re_run_does_not_pay_again_for_what_it_takes_over():
    job = a_job(seed=a_blob_ref(), is_seeded=True, created_at=NOON + timedelta(hours=1))
    found = counts(facts(a_record("a"), specs=("a",), job=job))
    assert found == {"create": 1, "seed": 1}


def test_what_follows_a_step_that_a_re_run_took_over_goes_by_the_queue():
    made = NOON + timedelta(hours=1)
    job = a_job(seed=a_blob_ref(), is_seeded=True, created_at=made, started_at=made)
    again = a_record("b", started_at=made, completed_at=made + SECOND)
    found = counts(facts(a_record("a"), again, specs=("a", "b<a"), job=job))
    assert (found["send"], found["claim"]) == (1, 1)


def test_what_the_engine_says_once_is_a_write():
    found = facts(job=a_job())
    noted = replace(found, state=replace(found.state, notes=(Note("k", NOON, "waits"),)))
    assert units_of(noted, Meter.WRITES) == units_of(found, Meter.WRITES) + 1


def an_approval(**given):
    fields = {"session": None, "started_at": None, "suspended_at": NOON}
    found = facts(a_record(**fields | given), job=a_job())
    return replace(found, flow=replace(found.flow, by_engine=frozenset("a")))


def test_an_approval_is_begun_and_ended_by_the_engine():
    waits = an_approval(status=StepStatus.SUSPENDED, completed_at=None)
    writes = [units_of(one, Meter.WRITES) for one in (waits, an_approval())]
    assert [found - 3 for found in writes] == [1, 2]


def test_who_answers_an_approval_asks_for_it_and_the_sweep_does_not():
    timed_out = an_approval(status=StepStatus.FAILED, error=TIMED_OUT)
    assert units_of(an_approval(), Meter.REQUESTS) == units_of(timed_out, Meter.REQUESTS) + 1


def test_that_people_were_told_of_an_approval_is_written():
    asked = an_approval()
    note = Note("on_suspended[0]/a/1", NOON, "Hook runs")
    told = replace(asked, state=replace(asked.state, notes=(note,)))
    # The note, and that the hooks were fired.
    assert units_of(told, Meter.WRITES) == units_of(asked, Meter.WRITES) + 2


def test_a_worker_asks_for_orders_as_often_as_the_model_says():
    assert Timing().orders_s == ORDERS_S


def test_a_session_that_runs_steps_side_by_side_is_busy_once():
    late = {"started_at": NOON + 10 * SECOND, "completed_at": NOON + 40 * SECOND}
    records = (a_record("a", completed_at=NOON + 30 * SECOND), a_record("b", **late))
    assert facts(*records, specs=("a", "b")).busy_s == {"s1": 40.0}


def a_house_with_children(*children, made=()):
    """Return a house whose job has a step for each child's id; those of `made` exist."""
    names = [f"s{number}" for number in range(len(children))]
    house = House(*names)
    job_id = house.job()
    for name, child in zip(names, children, strict=True):
        begin = StepBegin(
            ref=StepRef(job_id, name),
            attempt=1,
            nonce=name,
            status=StepStatus.RUNNING,
            at=NOON,
            lease=name,
            child=child,
        )
        house.engine.jobs.begin_step(begin)
        if child in made:
            job = house.engine.jobs.get(job_id)
            parent = Parent(StepRef(job_id, name), 1)
            house.engine.jobs.create(
                replace(job, job_id=child, parent=parent, nonce=child, source_type=SourceType.TASK)
            )
    return house, job_id


def test_sub_jobs_are_listed_with_the_sum():
    house, job_id = a_house_with_children("c1", "c2", made=("c1",))
    cost = job_cost(house.engine, job_id, Mode.DIRECT)
    assert [(child.job.job_id, child.step) for child in cost.children] == [("c1", "s0")]
    assert cost.whole.usd == pytest.approx(cost.own.usd + cost.children[0].use.usd)
    assert cost.is_whole


def test_of_very_many_sub_jobs_the_first_are_counted():
    children = [f"c{number}" for number in range(MAX_CHILDREN + 1)]
    house, job_id = a_house_with_children(*children, made=children)
    cost = job_cost(house.engine, job_id, Mode.DIRECT)
    assert (len(cost.children), cost.is_whole) == (MAX_CHILDREN, False)
