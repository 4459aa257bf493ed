"""Whoever watches a job sees each line of it once and in order, whatever becomes of messages.

`STROEM_SIM_LINES` says how many lines the long run writes (100,000 by itself; T11 is 1,000,000),
`STROEM_SIM_FIRST` by which seed.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.live_mutants import MUTANTS
from tests.simulation.live_place import CALM, Weather
from tests.simulation.live_run import Scale, a_run, asked, faults_of

LINES = int(os.environ.get("STROEM_SIM_LINES", "100000"))
FIRST = int(os.environ.get("STROEM_SIM_FIRST", "0"))
SMALL = Scale(lines=1000, chunk=8, viewers=30)
# Many subscriptions while much is written: what falls between reading and watching shows.
RESTLESS = Scale(lines=3000, chunk=3, viewers=40, pace_s=1.5, life_s=6.0)
SEEDS = 12
MUTANT_SEEDS = 30


def test_a_hundred_viewers_of_ten_thousand_lines_see_each_line_once():
    run = a_run(FIRST, Scale(), Weather())
    assert faults_of(run) == []
    assert run.place.seen["lost"] > 20
    assert run.place.seen["full"] > 20
    assert asked(run, "range") > 20
    assert sum(map(len, run.wrote.values())) > 9000


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_line_is_seen_once_whatever_is_lost(seed):
    assert faults_of(a_run(seed, SMALL, Weather())) == []


@pytest.mark.parametrize("seed", range(SEEDS // 3))
def test_where_nothing_is_lost_nothing_is_asked_for_again(seed):
    assert faults_of(a_run(seed, RESTLESS, CALM, is_prompt=True)) == []


@pytest.mark.parametrize(("mutant", "weather"), MUTANTS, ids=lambda one: getattr(one, "name", ""))
def test_the_simulator_finds(mutant, weather):
    is_calm = weather is CALM
    scale = RESTLESS if is_calm else SMALL
    for seed in range(MUTANT_SEEDS):
        with mutant.build.in_place():
            found = faults_of(a_run(seed, scale, weather, is_prompt=is_calm))
        if found:
            return
    pytest.fail(f"{MUTANT_SEEDS} seeds and nothing wrong: {mutant.name}")


@pytest.mark.slow
def test_nothing_is_lost_of_a_long_log():
    run = a_run(FIRST, Scale(lines=LINES, chunk=500), Weather())
    assert faults_of(run) == []
