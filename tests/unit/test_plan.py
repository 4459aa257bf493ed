"""Where every step stands, and what is to be done: the rules of promotion and of settling."""

from datetime import timedelta

import pytest

from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.plan import (
    Dispatch,
    Finish,
    Flow,
    decide,
    derive,
    flow_of,
    ready_before,
    unhalted,
)
from chalicelib.domain.workflow import Task
from tests.fakes.builders import a_job
from tests.fakes.clock import NOON
from tests.fakes.house import a_flow


def planned(*specs, **given):
    return flow_of(Task(key="ship", flow=a_flow(*specs, **given)), {})


def decided_since(step, flow, state):
    return decide(flow, state, NOON, ready_before(flow, state, step))


def a_record(step, status, attempt=1, **given):
    return StepRecord(
        **{"step": step, "status": StepStatus(status), "attempt": attempt, "nonce": "n"} | given
    )


def a_state(status="running", **records):
    """A job whose steps stand as the words say; a record stands for itself."""
    steps = {
        key: a_record(key, word) if isinstance(word, str) else word
        for key, word in records.items()
    }
    return JobState(a_job(status=JobStatus(status)), steps)


def shown(flow, state):
    return " ".join(f"{key}:{status}" for key, status in derive(flow, state).items())


PROMOTIONS = [
    # Linear, one by one.
    ("a b<a c<b", {}, "a:ready b:pending c:pending"),
    ("a b<a c<b", {"a": "running"}, "a:running b:pending c:pending"),
    ("a b<a c<b", {"a": "completed"}, "a:completed b:ready c:pending"),
    ("a b<a c<b", {"a": "completed", "b": "completed"}, "a:completed b:completed c:ready"),
    # Fan-in waits for all; a diamond joins.
    ("a b c<a,b", {"a": "completed", "b": "running"}, "a:completed b:running c:pending"),
    ("a b c<a,b", {"a": "completed", "b": "completed"}, "a:completed b:completed c:ready"),
    ("a b<a c<a d<b,c", {"a": "completed"}, "a:completed b:ready c:ready d:pending"),
    (
        "a b<a c<a d<b,c",
        {"a": "completed", "b": "completed", "c": "completed"},
        "a:completed b:completed c:completed d:ready",
    ),
    # A failed step skips its dependents, and the skip cascades.
    ("a b<a", {"a": "failed"}, "a:failed b:skipped"),
    ("a b<a c<b d<c", {"a": "failed"}, "a:failed b:skipped c:skipped d:skipped"),
    # It need not wait for the other dependencies.
    ("a b c<a,b", {"a": "failed", "b": "running"}, "a:failed b:running c:skipped"),
    # … unless the dependent tolerates failures.
    ("a b<a!", {"a": "failed"}, "a:failed b:ready"),
    ("a b c<a,b!", {"a": "failed", "b": "running"}, "a:failed b:running c:pending"),
    ("a b c<a,b!", {"a": "failed", "b": "failed"}, "a:failed b:failed c:ready"),
    # The flag of the failed step itself helps no dependent.
    ("a! b<a", {"a": "failed"}, "a:failed b:skipped"),
    # A skipped dependency counts as satisfied, if one other completed.
    ("x a b<x c<a,b", {"x": "failed", "a": "completed"}, "x:failed a:completed b:skipped c:ready"),
    (
        "x a b<x c<x d<a,b,c",
        {"x": "failed", "a": "completed"},
        "x:failed a:completed b:skipped c:skipped d:ready",
    ),
    # All skipped: skipped too, unless the step tolerates failures.
    ("x a<x b<x c<a,b", {"x": "failed"}, "x:failed a:skipped b:skipped c:skipped"),
    ("x a<x b<x c<a,b!", {"x": "failed"}, "x:failed a:skipped b:skipped c:ready"),
    # Skipped and failed together block without the flag, and run with it.
    ("x a b<x c<a,b", {"x": "failed", "a": "failed"}, "x:failed a:failed b:skipped c:skipped"),
    ("x a b<x c<a,b!", {"x": "failed", "a": "failed"}, "x:failed a:failed b:skipped c:ready"),
    # A cancelled dependency blocks like a failed one.
    ("a b<a", {"a": "cancelled"}, "a:cancelled b:skipped"),
    ("a b<a!", {"a": "cancelled"}, "a:cancelled b:ready"),
    # A branch of several steps is skipped to its end, and the join runs.
    (
        "x a b<x c<b d<c e<a,d",
        {"x": "failed", "a": "completed"},
        "x:failed a:completed b:skipped c:skipped d:skipped e:ready",
    ),
    # Branches beside each other do not touch each other.
    ("a b c<a d<b", {"a": "failed", "b": "completed"}, "a:failed b:completed c:skipped d:ready"),
]


@pytest.mark.parametrize(("specs", "records", "expected"), PROMOTIONS)
def test_promotion(specs, records, expected):
    assert shown(planned(*specs.split()), a_state(**records)) == expected


def test_the_order_of_the_document_does_not_matter():
    written_backwards = planned("c<b", "b<a", "a")
    statuses = derive(written_backwards, a_state(a="failed"))
    assert statuses == {
        "a": StepStatus.FAILED,
        "b": StepStatus.SKIPPED,
        "c": StepStatus.SKIPPED,
    }


SETTLINGS = [
    ("a b", {"a": "completed", "b": "completed"}, JobStatus.COMPLETED),
    ("a b", {"a": "completed", "b": "failed"}, JobStatus.FAILED),
    ("a b", {"a": "completed", "b": "running"}, None),
    ("a! b", {"a": "failed", "b": "completed"}, JobStatus.COMPLETED),
    ("a! b!", {"a": "failed", "b": "failed"}, JobStatus.COMPLETED),
    # The dependent's flag lets it run; the job still fails.
    ("a b<a!", {"a": "failed", "b": "completed"}, JobStatus.FAILED),
    ("a! b<a!", {"a": "failed", "b": "completed"}, JobStatus.COMPLETED),
    ("a b<a", {"a": "failed"}, JobStatus.FAILED),
    ("a! b<a", {"a": "failed"}, JobStatus.COMPLETED),
    # Cancelled steps alone do not fail a job.
    ("a b", {"a": "cancelled", "b": "completed"}, JobStatus.COMPLETED),
]


@pytest.mark.parametrize(("specs", "records", "expected"), SETTLINGS)
def test_settling(specs, records, expected):
    commands = decide(planned(*specs.split()), a_state(**records), NOON)
    assert [c.status for c in commands if isinstance(c, Finish)] == (
        [expected] if expected else []
    )


def test_an_empty_flow_is_completed_at_once():
    assert decide(Flow({}, ()), a_state("pending"), NOON) == (Finish(JobStatus.COMPLETED),)


def test_all_ready_steps_are_sent_when_nobody_says_what_just_ended():
    flow = planned("a", "b", "c<a")
    assert decide(flow, a_state("pending"), NOON) == (Dispatch("a", 1), Dispatch("b", 1))


def test_after_an_end_only_what_it_made_ready_is_sent():
    flow = planned("a", "b", "c<a", "d<a,b", "e<b")
    state = a_state(a="completed", b="completed")
    assert decided_since("b", flow, state) == (Dispatch("d", 1), Dispatch("e", 1))
    assert decided_since("a", flow, state) == (Dispatch("c", 1), Dispatch("d", 1))


def test_an_end_that_skips_one_branch_sends_the_join_behind_it():
    flow = planned("x", "a", "b<x", "c<a,b")
    state = a_state(x="failed", a="completed")
    assert decided_since("x", flow, state) == (Dispatch("c", 1),)


def test_a_retry_is_sent_with_the_time_that_is_left():
    flow = planned("a")
    waiting = a_record("a", "ready", 2, retry_at=NOON + timedelta(seconds=29.2))
    assert decided_since("a", flow, a_state(a=waiting)) == (Dispatch("a", 2, 30),)
    assert decide(flow, a_state(a=waiting), NOON + timedelta(minutes=1)) == (Dispatch("a", 2, 0),)


@pytest.mark.parametrize(("wait_s", "sent"), [(900, (Dispatch("a", 2, 900),)), (901, ())])
def test_a_retry_beyond_the_queues_longest_delay_waits_for_the_sweep(wait_s, sent):
    waiting = a_record("a", "ready", 2, retry_at=NOON + timedelta(seconds=wait_s))
    assert decide(planned("a"), a_state(a=waiting), NOON) == sent


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "skipped"])
def test_nothing_is_done_about_a_job_that_has_ended(status):
    assert decide(planned("a"), a_state(status), NOON) == ()


def test_sinks_are_the_steps_that_nobody_needs():
    assert planned("a", "b<a", "c<a", "d<b").sinks == ("c", "d")


# Cancellation: what might still go on is halted, and what is shown as ended stays so.


def test_what_had_not_begun_is_cancelled_once_all_that_runs_is_halted():
    flow = planned("a", "b<a", "c<b")
    assert shown(flow, a_state("cancelled", a="running")) == "a:running b:pending c:pending"
    halted = a_record("a", "running", halted=True)
    assert shown(flow, a_state("cancelled", a=halted)) == "a:running b:cancelled c:cancelled"


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_nothing_follows_from_the_end_of_a_halted_step(end):
    flow = planned("a", "b<a", "c<b!")
    ended = a_record("a", end, halted=True)
    assert shown(flow, a_state("cancelled", a=ended)) == f"a:{end} b:cancelled c:cancelled"


def test_what_was_skipped_before_the_cancellation_stays_skipped():
    flow = planned("a", "b<a", "c", "d<c")
    state = a_state("cancelled", a="failed", c=a_record("c", "running", halted=True))
    assert shown(flow, state) == "a:failed b:skipped c:running d:cancelled"


def test_steps_that_might_go_on_are_the_ready_and_the_running_ones_that_are_not_halted():
    flow = planned("a", "b", "c", "d<a", "e<c", "f<b")
    state = a_state(
        "cancelled",
        a="completed",
        b="running",
        c=a_record("c", "running", halted=True),
    )
    assert unhalted(flow, state) == ("b", "d")


def test_a_ready_step_is_not_shown_as_cancelled_before_it_is_halted():
    flow = planned("a", "b")
    assert shown(flow, a_state("cancelled")) == "a:ready b:ready"
    ended = {key: a_record(key, "cancelled", halted=True) for key in "ab"}
    assert shown(flow, a_state("cancelled", **ended)) == "a:cancelled b:cancelled"
