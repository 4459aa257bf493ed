"""A schedule's end, jitter, and the last of the times that were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.schedule.missed import OnMissed, times_from
from chalicelib.domain.schedule.timing import Timing, end_of, timing_of
from tests.api.world import a_tree
from tests.fakes.clock import NOON

TEXT = """
actions: {ok: {type: script, script: "true"}}
tasks: {t: {flow: {s: {action: ok}}}}
triggers:
  x:
    type: scheduler
    task: t
    cron: "0 0 * * *"
    timezone: Asia/Kathmandu
    on_missed: all
    end_at: "2026-12-31"
    jitter: 1m30s
  y: {type: webhook, name: y, task: t}
"""


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-31", "UTC", "2026-12-31T23:59:59.999999"),
        ("2026-12-31", "Asia/Kathmandu", "2026-12-31T18:14:59.999999"),
        ("2026-03-29", "Europe/Copenhagen", "2026-03-29T21:59:59.999999"),
        ("2026-12-31T12:00", "Asia/Kathmandu", "2026-12-31T06:15:00"),
        ("2026-12-31T12:00:00+02:00", "Asia/Kathmandu", "2026-12-31T10:00:00"),
        ("2026-12-31T12:00:00Z", "Asia/Kathmandu", "2026-12-31T12:00:00"),
    ],
)
def test_an_end_is_a_date_a_local_time_or_an_instant(text, zone, expected):
    assert end_of(text, zone) == utc(expected)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "9999-12-31", "12:00"])
def test_an_end_that_is_none_is_refused(text):
    with pytest.raises(InvalidError, match=r"neither a date nor a time|too far ahead"):
        end_of(text, "America/New_York")


def test_the_keys_of_a_schedule_make_its_timing():
    definition = read_workspace(a_tree(TEXT)).definition
    expected = Timing("0 0 * * *", "Asia/Kathmandu", utc("2026-12-31T18:14:59.999999"), 90)
    assert timing_of(definition.triggers["x"]) == expected
    assert definition.triggers["x"].on_missed == "all"
    assert timing_of(definition.triggers["y"]) is None


def test_nothing_is_later_than_the_end():
    timing = Timing("* * * * *", end_at=NOON + timedelta(minutes=2))
    assert list(timing.runs(NOON)) == [NOON + timedelta(minutes=n) for n in (1, 2)]
    assert timing.first_after(NOON + timedelta(minutes=2)) is None


def test_jitter_is_spread_and_stays_within_its_bound():
    timing = Timing("* * * * *", jitter_s=30)
    delays = [timing.delay_of("w/x", run).seconds for run in islice(timing.runs(NOON), 2_000)]
    assert set(delays) == set(range(31))
    assert Timing("* * * * *").delay_of("w/x", NOON) == timedelta()


@pytest.mark.parametrize("cron", ["* * * * * *", "*/7 * * * *", "30 2 * * *", "0 0 29 2 *"])
@pytest.mark.parametrize("back", [timedelta(seconds=30), timedelta(hours=5), timedelta(days=1500)])
def test_the_last_of_many_times_is_found(cron, back):
    timing, first = Timing(cron), NOON - back
    if cron == "* * * * * *" and back.days:
        assert timing.last_in(first, NOON) == NOON
        return
    runs = list(takewhile(lambda run: run <= NOON, timing.runs_from(first)))
    assert timing.last_in(first, NOON) == (runs[-1] if runs else None)


@pytest.mark.parametrize("policy", OnMissed)
def test_an_age_without_a_tick_is_worked_out_in_no_time(policy):
    timing = Timing("* * * * * *")
    times = times_from(timing, policy, NOON - timedelta(days=3_000), NOON)
    assert len(list(islice(times, 100))) == 100
