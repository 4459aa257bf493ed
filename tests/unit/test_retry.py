"""When a failed step is tried again."""

from datetime import timedelta

import pytest

from chalicelib.domain.retry import attempts_left, next_delay
from chalicelib.domain.workflow import Backoff, Retry


@pytest.mark.parametrize(("attempt", "expected"), [(1, True), (2, True), (3, False), (4, False)])
def test_max_attempts_counts_every_attempt_the_first_included(attempt, expected):
    assert attempts_left(Retry(max_attempts=3), attempt) is expected


def test_without_a_policy_nothing_is_tried_again():
    assert attempts_left(None, 1) is False


def test_a_fixed_delay_stays():
    delays = [next_delay(Retry(delay_s=30), attempt, 0.9) for attempt in (1, 2, 9)]
    assert delays == [timedelta(seconds=30)] * 3


def test_an_exponential_delay_doubles_six_times_at_most():
    policy = Retry(max_attempts=10, delay_s=30, backoff=Backoff.EXPONENTIAL)
    seconds = [next_delay(policy, attempt, 0).total_seconds() for attempt in range(1, 10)]
    assert seconds == [30, 60, 120, 240, 480, 960, 1920, 1920, 1920]


@pytest.mark.parametrize(("draw", "expected_s"), [(0, 40), (0.5, 45), (1, 50)])
def test_jitter_adds_up_to_a_quarter(draw, expected_s):
    delay = next_delay(Retry(delay_s=40, jitter=True), 1, draw)
    assert delay == timedelta(seconds=expected_s)
