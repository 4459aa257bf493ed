"""The product's own engine under injected faults, for many seeds: no invariant may break.

`STROEM_SIM_SEEDS` says how many seeds (20,000 by itself), `STROEM_SIM_FIRST` where to begin.
One seed again, with its trace: `python -m tests.simulation.run SEED`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import get_context

import pytest

from tests.simulation.run import Totals, simulate

SEEDS = int(os.environ.get("STROEM_SIM_SEEDS", "20000"))
FIRST = int(os.environ.get("STROEM_SIM_FIRST", "0"))
PROCESSES = 2
_CHUNK = 100


def _chunk(first):
    totals = Totals()
    for seed in range(first, min(first + _CHUNK, FIRST + SEEDS)):
        totals.add(simulate(seed))
    return totals


@pytest.mark.slow
def test_no_seed_breaks_an_invariant(capsys):
    totals = Totals()
    with get_context("spawn").Pool(PROCESSES) as pool:
        for part in pool.imap_unordered(_chunk, range(FIRST, FIRST + SEEDS, _CHUNK)):
            totals.merge(part)
    with capsys.disabled():
        sys.stdout.write(f"\nsimulation: {totals}\n")
    if totals.violations:
        seed, violation = totals.violations[0]
        lines = "\n".join(simulate(seed, keep_trace=True).trace[-120:])
        pytest.fail(
            f"{len(totals.violations)} of {SEEDS} seeds break an invariant. "
            f"Seed {seed}: {violation}\n{lines}\n"
            f"The whole of it: python -m tests.simulation.run {seed}"
        )
    assert totals.seeds == SEEDS
    assert totals.completed > SEEDS
    assert totals.faults > SEEDS


def test_a_seed_gives_the_same_run_whatever_order_sets_have():
    code = (
        "from tests.simulation.run import simulate\n"
        "print([simulate(seed).digest for seed in range(200)])"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": order},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for order in ("1", "2")
    }
    assert len(runs) == 1


def test_different_seeds_give_different_runs():
    assert len({simulate(seed).digest for seed in range(50)}) == 50
