"""Cron against an oracle that looks at every single second: nothing missed, nothing twice."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.schedule.cron import Cron, next_runs

ZONES = (
    "UTC",
    "Europe/Copenhagen",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Havana",
    "Africa/Casablanca",
    "Antarctica/Troll",
)


def fits(cron, wall):
    return (
        wall.second in cron.seconds
        and wall.minute in cron.minutes
        and wall.hour in cron.hours
        and wall.month in cron.months
        and wall.day in cron.days.days_of(wall.year, wall.month)
    )


def brute_force(cron, zone, start, end):
    """Return the runs in (start, end], by walking minutes; the crons here have second 0."""
    info = ZoneInfo(zone)
    runs, moment = set(), start - timedelta(hours=30)
    previous = moment.astimezone(info).replace(tzinfo=None)
    seen = set()
    while moment < end:
        moment += timedelta(minutes=1)
        wall = moment.astimezone(info).replace(tzinfo=None)
        # Local minutes that the clock jumped over count at the moment of the jump.
        passed = previous + timedelta(minutes=1)
        while passed < wall:
            if fits(cron, passed) and passed not in seen:
                runs.add(moment)
            passed += timedelta(minutes=1)
        if fits(cron, wall) and wall not in seen:
            runs.add(moment)
        seen.add(wall)
        previous = wall
    return sorted(run for run in runs if start < run <= end)


def fields(low, high):
    number = st.integers(low, high).map(str)
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(
        lambda pair: f"{min(pair)}-{max(pair)}"
    )
    step = st.integers(1, high).map(lambda n: f"*/{n}")
    return st.lists(st.one_of(number, span, step), min_size=1, max_size=3).map(",".join)


DAYS = st.one_of(st.just("*"), fields(1, 31), st.sampled_from(["L", "L-1", "LW", "15W", "1W"]))
WEEKDAYS = st.one_of(st.just("*"), fields(0, 6), st.sampled_from(["5L", "MON#1", "0#5"]))
CRONS = st.builds(
    lambda minute, hour, day, weekday: f"{minute} {hour} {day} * {weekday}",
    fields(0, 59),
    st.one_of(st.just("*"), fields(0, 23)),
    DAYS,
    WEEKDAYS,
)
# Around the days when the clocks of these zones change.
STARTS = st.builds(
    lambda day, minute: datetime.fromisoformat(f"{day}T00:00Z") + timedelta(minutes=minute),
    st.sampled_from(
        ["2026-03-08", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31",
         "2028-02-28", "2026-12-31", "2026-02-14", "2026-03-21"]
    ),
    st.integers(0, 1_440),
)  # fmt: skip


@settings(max_examples=60)
@given(CRONS, st.sampled_from(ZONES), STARTS)
def test_the_runs_of_two_days_are_those_that_the_oracle_sees(text, zone, start):
    cron, end = Cron.parse(text), start + timedelta(days=2)
    expected = brute_force(cron, zone, start, end)
    found = next_runs(cron, zone, start, len(expected) + 1)
    assert [run for run in found if run <= end] == expected


@settings(max_examples=100)
@given(CRONS, st.sampled_from(ZONES), st.integers(0, 36_500))
def test_the_next_run_is_later_and_fits_or_ends_a_gap(text, zone, day):
    cron, after = Cron.parse(text), datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=day)
    run = cron.next_after(after, zone)
    assert run is not None
    assert run > after
    wall = run.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    before = (run - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert fits(cron, wall) or wall - before > timedelta(seconds=1)


@settings(max_examples=100)
@given(st.text("0123456789*/,-?LW#MONJA @", max_size=30))
def test_any_text_is_parsed_or_refused_and_never_breaks(text):
    with suppress(InvalidError):
        Cron.parse(text).next_after(datetime(2026, 1, 1, tzinfo=UTC), "UTC")
