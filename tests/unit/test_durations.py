"""Durations: whole seconds, or hours, minutes and seconds."""

import pytest

from chalicelib.domain.durations import format_duration, parse_duration
from chalicelib.domain.errors import InvalidError


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (1, 1),
        (90, 90),
        ("45s", 45),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7_200),
        ("1h30m15s", 5_415),
        ("1h15s", 3_615),
        ("0h0m1s", 1),
        ("1000000s", 1_000_000),
    ],
)
def test_seconds_and_spelled_durations_are_read(written, seconds):
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        0, -1, 1.5, True, None, [], {}, "", "0s", "0h0m", "90", "1d", "1.5h", "-1s", "1 h", "1H",
        "15s1m", "1m1m", "h", "1ms", "٣s", "1h ", "9" * 10 + "s",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_ways_to_write_it(written):
    with pytest.raises(InvalidError, match="duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("seconds", "spelled"), [(1, "1s"), (60, "1m"), (3_600, "1h"), (5_415, "1h30m15s")]
)
def test_a_duration_is_spelled_as_short_as_can_be(seconds, spelled):
    assert format_duration(seconds) == spelled
