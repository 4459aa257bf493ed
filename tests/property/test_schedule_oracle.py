"""Each of the oracle's 500 crons in one of its 20 zones, over a leap year and its neighbours.

All zones over 20 years take minutes: `./dev oracle`.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.schedule.cron import Cron
from tests.oracle.compare import Figures, compare_days, compare_whole, next_is_the_same
from tests.oracle.crons import COUNT, DENSE, ZONES, dense_crons, thin_crons

YEARS = (2027, 2029)


def sampled(compare, texts, *more):
    figures = Figures()
    for number, text in enumerate(texts):
        figures.add(compare(text, ZONES[number % len(ZONES)], YEARS, *more))
    return figures


def test_there_are_500_different_crons():
    assert len({*thin_crons(), *dense_crons()}) >= COUNT * 0.95
    assert len(thin_crons()) + DENSE == COUNT


@pytest.mark.parametrize("quarter", range(4))
def test_whole_years_of_thin_crons_are_those_of_the_calendar(quarter):
    figures = sampled(compare_whole, thin_crons()[quarter::4])
    assert (figures.missed, figures.doubled, figures.wrong) == (0, 0, "")
    assert figures.runs > 10_000


def test_days_of_dense_crons_are_those_of_the_calendar():
    figures = sampled(compare_days, dense_crons(), 4)
    assert (figures.missed, figures.doubled, figures.wrong) == (0, 0, "")
    assert figures.runs > 100_000


def test_asking_for_the_next_again_and_again_gives_the_same_runs():
    for number, text in enumerate(thin_crons()[::5] + dense_crons()):
        assert next_is_the_same(text, ZONES[number % len(ZONES)], YEARS, 60), text


class Naive:
    """Runs at the second of two times, and at none that does not exist."""

    def __init__(self, text):
        self._cron = Cron.parse(text)

    def runs(self, after, zone):
        for run in self._cron.runs(after - timedelta(days=1), zone):
            wall = run.astimezone(ZoneInfo(zone))
            if self._cron.minutes == (wall.minute,):
                yield wall.replace(fold=1).astimezone(UTC)


def test_the_oracle_sees_runs_that_are_missed_or_at_another_time():
    figures = compare_whole("30 2 * * *", "Europe/Copenhagen", YEARS, Naive)
    # Each spring of three years lacks one, each autumn has one an hour late; and the day before.
    assert (figures.missed, figures.doubled) == (6, 4)
