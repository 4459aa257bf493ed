"""The `_server` lines: what a job's own records tell of it."""

import json
from datetime import datetime, timedelta, timezone

from chalicelib.domain.job import JobState, PastAttempt, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.logs import LogLine, narrate, stamp
from chalicelib.domain.plan import flow_of
from chalicelib.domain.workflow import Task
from tests.fakes.builders import a_job
from tests.fakes.clock import NOON
from tests.fakes.house import a_flow

SECOND = timedelta(seconds=1)


def told(specs, steps=(), **job):
    flow = flow_of(Task(key="ship", flow=a_flow(*specs.split())), {})
    state = JobState(a_job(revision="r1", **job), {record.step: record for record in steps})
    return [(int((line.ts - NOON) / SECOND), line.line) for line in narrate(flow, state)]


def a_record(step, status, began, ended=None, **given):
    return StepRecord(
        **{
            "step": step,
            "status": StepStatus(status),
            "attempt": 1,
            "nonce": "n",
            "worker": "w",
            "started_at": NOON + began * SECOND,
            "completed_at": None if ended is None else NOON + ended * SECOND,
        }
        | given
    )


def test_a_new_job_tells_who_made_it():
    assert told("a") == [(0, "Job created by api, revision r1")]
    assert told("a", source_type=SourceType.TRIGGER, source_id="shop/nightly") == [
        (0, "Job created by trigger (shop/nightly), revision r1")
    ]


def test_steps_and_the_end_are_told_in_order_of_time():
    steps = [a_record("b", "failed", 5, 9, error="exit code 1"), a_record("a", "completed", 1, 4)]
    lines = told("a b<a", steps, status=JobStatus.FAILED, completed_at=NOON + 10 * SECOND)
    assert lines == [
        (0, "Job created by api, revision r1"),
        (1, "Step 'a' attempt 1 started by worker w"),
        (4, "Step 'a' completed"),
        (5, "Step 'b' attempt 1 started by worker w"),
        (9, "Step 'b' failed: exit code 1"),
        (10, "Job failed"),
    ]


def test_a_retry_tells_of_the_failed_attempt_and_of_the_next():
    past = PastAttempt(attempt=1, error="boom", started_at=NOON, failed_at=NOON + 3 * SECOND)
    waiting = StepRecord(
        step="a",
        status=StepStatus.READY,
        attempt=2,
        nonce="n",
        retry_at=NOON + 33 * SECOND,
        history=(past,),
    )
    assert told("a", [waiting])[1:] == [
        (3, "Step 'a' attempt 1 failed: boom"),
        (3, "Step 'a' is tried again at 2026-11-21T12:00:33.000000Z (attempt 2)"),
    ]


def test_a_skip_is_told_with_its_reason_at_the_time_that_decided_it():
    lines = told(
        "a b c<a,b d<c", [a_record("a", "failed", 1, 2), a_record("b", "completed", 1, 7)]
    )
    assert (7, "Step 'c' skipped: 'a' failed") in lines
    assert (7, "Step 'd' skipped: everything before it was skipped") in lines


def test_a_step_that_never_began_in_a_cancelled_job_tells_no_start():
    record = StepRecord(
        step="a",
        status=StepStatus.CANCELLED,
        attempt=1,
        nonce="n",
        completed_at=NOON + SECOND,
        error="Job cancelled before the step began",
        halted=True,
    )
    assert told("a b<a", [record], status=JobStatus.CANCELLED)[1:] == [
        (1, "Step 'a' cancelled: Job cancelled before the step began")
    ]


def test_a_line_is_compact_json_with_its_time_in_front():
    line = LogLine(NOON, "stderr", "a", 'say "ø"\n')
    assert line.to_json() == (
        '{"ts":"2026-11-21T12:00:00.000000Z","stream":"stderr","step":"a","line":"say \\"ø\\"\\n"}'
    )
    assert json.loads(line.to_json())["line"] == 'say "ø"\n'


def test_stamps_sort_as_the_instants_do_whatever_their_zone():
    east = timezone(timedelta(hours=5, minutes=30))
    instants = [
        datetime(2026, 11, 21, 17, 30, 0, 1, tzinfo=east),
        NOON,
        NOON + timedelta(microseconds=2),
    ]
    assert sorted(map(stamp, instants)) == [stamp(instant) for instant in sorted(instants)]
    assert stamp(instants[0]) == "2026-11-21T12:00:00.000001Z"
