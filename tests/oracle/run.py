"""500 crons in 20 zones over 20 years against the calendar, in several processes."""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import get_context

from tests.oracle.compare import Figures, compare_days, compare_whole
from tests.oracle.crons import ZONES, dense_crons, thin_crons

_SOME = 4


def zone(task):
    """Compare all crons in one zone."""
    name, years, thin, dense = task
    figures = Figures()
    for text in thin:
        figures.add(compare_whole(text, name, years))
    for text in dense:
        figures.add(compare_days(text, name, years, _SOME))
    return name, figures


def say(text):
    """Tell how it goes at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main():
    """Return 1 if a run was missed or doubled."""
    parser = argparse.ArgumentParser(prog="dev oracle", description=__doc__)
    parser.add_argument("--from", dest="first", type=int, default=2026, metavar="YEAR")
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--zones", type=int, default=len(ZONES), help="the first so many")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    years = (given.first, given.first + given.years - 1)
    tasks = [(name, years, thin_crons(), dense_crons()) for name in ZONES[: given.zones]]
    began, figures = time.monotonic(), Figures()
    with get_context("spawn").Pool(given.processes) as pool:
        for name, part in pool.imap_unordered(zone, tasks):
            figures.add(part)
            say(f"{name:<22}{part.pairs:>5} crons{part.runs:>12,} runs  {part.wrong}")
    took_s = time.monotonic() - began
    say(f"{figures.pairs:,} pairs of cron and zone, {years[0]} to {years[1]}, in {took_s:.0f} s:")
    say(f"{figures.runs:,} runs, {figures.missed} missed, {figures.doubled} doubled")
    return 1 if figures.missed or figures.doubled else 0
