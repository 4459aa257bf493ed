"""Hold the product's schedules against the calendar, run by run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, takewhile

from chalicelib.domain.schedule.cron import Cron
from tests.oracle.calendar import DAY_S, Calendar, Zone, runs_on

_HUNDREDS, _THOUSANDS = 200, 1_500
_zones = {}


@dataclass
class Figures:
    """What was compared: pairs of cron and zone, runs; and what was wrong."""

    pairs: int = 0
    runs: int = 0
    missed: int = 0
    doubled: int = 0
    wrong: str = ""

    def add(self, other):
        self.pairs += other.pairs
        self.runs += other.runs
        self.missed += other.missed
        self.doubled += other.doubled
        self.wrong = self.wrong or other.wrong


def zone_of(name, years):
    """Return the zone's offsets, worked out once in a process."""
    if (name, years) not in _zones:
        _zones[name, years] = Zone(name, *years)
    return _zones[name, years]


def compare_whole(text, name, years, parse=Cron.parse):
    """Compare every run of the years, one after another; `parse` gives what is held to it."""
    zone, calendar = zone_of(name, years), Calendar(text)
    expected = []
    for day in calendar.days(*years):
        latest = expected[-1] if expected else 0
        # Two days may end in one gap: where a whole day was left out.
        expected += [run for run in runs_on(calendar, zone, day) if run > latest]
    start = _first_of(zone, years[0])
    found = parse(text).runs(_moment(start - 1), name)
    if not expected:
        first = next(found, None)
        got = [] if first is None else [int(first.timestamp())]
        return _judged(text, name, [], [run for run in got if run < _first_of(zone, years[1] + 1)])
    end = _moment(_first_of(zone, years[1] + 1) - 1)
    got = [int(run.timestamp()) for run in takewhile(lambda run: run <= end, found)]
    # A run of the last day may fall into a gap that ends in the new year.
    return _judged(text, name, [run for run in expected if run <= end.timestamp()], got)


def compare_days(text, name, years, some):
    """Compare the runs around each clock change, and of `some` other days of each year.

    Of those that run hundreds of times a day, on the days of changes only; of those that run
    thousands of times, on every eighth of these.
    """
    zone, calendar = zone_of(name, years), Calendar(text)
    fitting = set(calendar.days(*years))
    inside = range(_first_of(zone, years[0]) // DAY_S + 3, _first_of(zone, years[1]) // DAY_S)
    draw = random.Random(f"{text} {name}")  # noqa: S311 - repeatable, not secret
    changes = [day for day in zone.changes() if day in inside]
    others = [draw.choice(inside) for _ in range(some * (years[1] - years[0]))]
    if len(calendar.seconds) > _THOUSANDS:
        chosen = {*changes[::8], *others[:1]}
    elif len(calendar.seconds) > _HUNDREDS:
        chosen = {*changes, *others[:10]}
    else:
        chosen = {*others, *(day + by for day in changes for by in (-1, 0, 1, 2))}
    figures, cron = Figures(), Cron.parse(text)
    for day in sorted(chosen):
        near = [one for one in (day - 1, day, day + 1) if one in fitting]
        around = {run for one in near for run in runs_on(calendar, zone, one)}
        begin, end = day * DAY_S, (day + 1) * DAY_S
        expected = sorted(run for run in around if begin <= run < end)
        stop = _moment(end)
        found = takewhile(lambda run: run < stop, cron.runs(_moment(begin - 1), name))  # noqa: B023 - used at once
        figures.add(_judged(text, name, expected, [int(run.timestamp()) for run in found]))
    figures.pairs = 1
    return figures


def next_is_the_same(text, name, years, count):
    """Say whether asking for the next run again and again gives what one walk gives."""
    cron = Cron.parse(text)
    at = _moment(_first_of(zone_of(name, years), years[0]))
    for run in islice(cron.runs(at, name), count):
        if cron.next_after(at, name) != run:
            return False
        at = run
    return True


def _judged(text, name, expected, got):
    if got == expected:
        return Figures(1, len(expected))
    missed, extra = set(expected) - set(got), set(got) - set(expected)
    doubled = len(got) - len(set(got)) + len(extra)
    shown = [_moment(run).isoformat() for run in sorted(missed | extra)[:3]]
    return Figures(1, len(expected), len(missed), doubled, f"{text} in {name}: {shown}")


def _first_of(zone, year):
    day = (datetime(year, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    return zone.instant(day * DAY_S)


def _moment(second):
    return datetime.fromtimestamp(second, tz=UTC)
