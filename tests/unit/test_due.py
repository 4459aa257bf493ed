"""When the sweep looks at a job again."""

from datetime import timedelta

import pytest

from chalicelib.domain.due import LONGEST, first_due, next_due
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("after_s", "expected_s"), [(0, 60), (1, 90), (29, 90), (30, 90), (30.000001, 120), (59, 120)]
)
def test_the_first_look_comes_after_a_minute_rounded_up_to_half_a_minute(after_s, expected_s):
    now = NOON + timedelta(seconds=after_s)
    assert first_due(now) == NOON + timedelta(seconds=expected_s)


def test_the_distances_grow_to_five_minutes():
    gaps = [next_due(NOON, looks, []) - NOON for looks in (1, 2, 3, 4, 100)]
    assert gaps == [2 * MINUTE, 4 * MINUTE, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE]


def test_the_longest_distance_leaves_time_to_end_within_ten_minutes():
    assert LONGEST + MINUTE <= 10 * MINUTE / 1.5


def test_a_retry_brings_the_look_forward():
    assert next_due(NOON, 9, [NOON + 70 * SECOND, NOON + 3 * MINUTE]) == NOON + 90 * SECOND


def test_an_instant_that_has_passed_brings_nothing_forward():
    assert next_due(NOON, 9, [NOON, NOON - MINUTE]) == NOON + 5 * MINUTE


def test_an_instant_far_ahead_puts_nothing_off():
    assert next_due(NOON, 1, [NOON + 60 * MINUTE]) == NOON + 2 * MINUTE
