"""What holds for the plan of every flow, wherever its steps stand."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.due import LONGEST, ROUND_S, next_due
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.plan import (
    Dispatch,
    Finish,
    decide,
    derive,
    flow_of,
    ready_before,
    unhalted,
)
from chalicelib.domain.retry import MAX_DOUBLINGS, next_delay
from chalicelib.domain.workflow import Backoff, FlowStep, Retry, Task
from tests.fakes.builders import a_job
from tests.fakes.clock import NOON
from tests.simulation import reference

ENDED = [StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.CANCELLED]


@st.composite
def flows(draw):
    """Flows of up to ten steps, written down in any order."""
    count = draw(st.integers(1, 10))
    steps = []
    for index in range(count):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=4)) if index else set()
        steps.append(
            FlowStep(
                key=f"s{index}",
                action="act",
                depends_on=tuple(f"s{need}" for need in sorted(needs)),
                continue_on_failure=draw(st.booleans()),
            )
        )
    written = draw(st.permutations(steps))
    return flow_of(Task(key="t", flow={step.key: step for step in written}), {})


@st.composite
def journeys(draw):
    """A flow and the states that its job goes through: steps begin when ready, and end somehow."""
    flow = draw(flows())
    records = {}
    states = [JobState(a_job(status=JobStatus.RUNNING), {})]
    while True:
        statuses = derive(flow, states[-1])
        ready = [key for key, status in statuses.items() if status is StepStatus.READY]
        running = [key for key, status in statuses.items() if status is StepStatus.RUNNING]
        if not ready and not running:
            return flow, states
        key = draw(st.sampled_from(ready + running))
        status = StepStatus.RUNNING if key in ready else draw(st.sampled_from(ENDED))
        records = records | {key: StepRecord(step=key, status=status, attempt=1, nonce="n")}
        states.append(JobState(states[-1].job, records))


@given(journeys())
def test_a_job_always_comes_to_its_end(journey):
    flow, states = journey
    commands = decide(flow, states[-1], NOON)
    assert [type(command) for command in commands] == [Finish]


@given(journeys())
def test_what_is_shown_agrees_with_the_rules_as_they_are_written(journey):
    flow, states = journey
    for state in states:
        words = {key: str(record.status) for key, record in state.steps.items()}
        expected = reference.promote(flow.steps, words)
        assert {key: str(status) for key, status in derive(flow, state).items()} == expected


@given(journeys())
def test_the_job_ends_as_the_rules_say(journey):
    flow, states = journey
    [end] = decide(flow, states[-1], NOON)
    words = {key: str(record.status) for key, record in states[-1].steps.items()}
    assert str(end.status) == reference.settled(flow.steps, words)


@given(journeys())
def test_what_is_shown_as_ended_never_changes(journey):
    flow, states = journey
    before = {}
    for state in states:
        shown = derive(flow, state)
        assert all(shown[key] is status for key, status in before.items())
        before = {key: status for key, status in shown.items() if status.is_terminal}


@given(journeys())
def test_each_step_that_becomes_ready_is_sent_at_the_end_that_made_it_so(journey):
    flow, states = journey
    first = decide(flow, states[0], NOON)
    sent = {command.step for command in first if isinstance(command, Dispatch)}
    for before, after in pairwise(states):
        [key] = [k for k, record in after.steps.items() if record != before.steps.get(k)]
        if after.steps[key].status.is_terminal:
            commands = decide(flow, after, NOON, ready_before(flow, after, key))
            now = {command.step for command in commands if isinstance(command, Dispatch)}
            assert not now & sent
            sent |= now
    assert sent == set(states[-1].steps)


@given(journeys(), st.data())
def test_a_cancelled_job_that_is_halted_shows_an_end_for_all_that_does_not_run(journey, data):
    flow, states = journey
    live = data.draw(st.sampled_from(states))
    cancelled = JobState(a_job(status=JobStatus.CANCELLED), live.steps)
    halted = dict(live.steps)
    for key in unhalted(flow, cancelled):
        status = StepStatus.RUNNING if key in live.steps else StepStatus.CANCELLED
        halted[key] = StepRecord(step=key, status=status, attempt=1, nonce="n", halted=True)
    before = derive(flow, live)
    state = JobState(cancelled.job, halted)
    shown = derive(flow, state)
    assert unhalted(flow, state) == ()
    assert decide(flow, state, NOON) == ()
    for key, status in shown.items():
        assert status.is_terminal or status is StepStatus.RUNNING
        assert not before[key].is_terminal or before[key] is status
    # However what still runs ends, nothing else moves.
    running = [key for key, status in shown.items() if status is StepStatus.RUNNING]
    for key in running:
        end = data.draw(st.sampled_from(ENDED))
        halted[key] = StepRecord(step=key, status=end, attempt=1, nonce="n", halted=True)
    after = derive(flow, JobState(cancelled.job, halted))
    assert {k: s for k, s in after.items() if k not in running} == {
        k: s for k, s in shown.items() if k not in running
    }


@given(
    st.integers(0, 3600),
    st.integers(1, 30),
    st.sampled_from(Backoff),
    st.booleans(),
    st.floats(0, 1),
)
def test_a_delay_lies_between_the_policys_and_its_bound(delay_s, attempt, backoff, jitter, draw):
    policy = Retry(max_attempts=99, delay_s=delay_s, backoff=backoff, jitter=jitter)
    seconds = next_delay(policy, attempt, draw).total_seconds()
    doublings = MAX_DOUBLINGS if backoff is Backoff.EXPONENTIAL else 0
    assert delay_s <= seconds <= delay_s * 2**doublings * 1.25 + 1e-6


@given(
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.lists(st.integers(-(10**4), 10**4), max_size=5),
)
def test_the_next_look_is_ahead_and_never_far(after_s, looks, wanted_s):
    now = NOON + timedelta(seconds=after_s)
    wanted = [now + timedelta(seconds=seconds) for seconds in wanted_s]
    due = next_due(now, looks, wanted)
    assert now < due <= now + LONGEST + timedelta(seconds=ROUND_S)
    assert due.timestamp() % ROUND_S == pytest.approx(0)
    soonest = [at for at in wanted if at > now]
    assert not soonest or due < max(min(soonest), now) + timedelta(seconds=ROUND_S)
