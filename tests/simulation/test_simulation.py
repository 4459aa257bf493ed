"""The product's own engine under injected faults, for many seeds: no invariant may break.

`STROEM_SIM_SEEDS` says how many seeds (20,000 by itself), `STROEM_SIM_FIRST` where to begin.
One seed again, made smaller, with its trace: `./dev simulate --seed SEED`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import pytest

from tests.simulation.cases import Case, Parts, parts_of
from tests.simulation.flows import CHANCES, a_definition
from tests.simulation.many import explain, report, run_all
from tests.simulation.run import simulate

SEEDS = int(os.environ.get("STROEM_SIM_SEEDS", "20000"))
FIRST = int(os.environ.get("STROEM_SIM_FIRST", "0"))
PROCESSES = 2
# What every thousand seeds must have had, so that nothing is left out by mistake.
EXERCISED = (
    "admissions",
    "answers",
    "approvals",
    "claims",
    "decided as failed",
    "decided as skipped",
    "handed back",
    "hooks on_cancel",
    "hooks on_error",
    "hooks on_success",
    "hooks on_suspended",
    "instances",
    "kills",
    "loops",
    "pauses",
    "retries",
    "retry jobs",
    "sub-jobs",
)


@pytest.mark.slow
def test_no_seed_breaks_an_invariant(capsys):
    totals = run_all(FIRST, SEEDS, PROCESSES)
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(report(totals)) + "\n")
    if totals.violations:
        seed, violation = totals.violations[0]
        lines = "\n".join(explain(seed))
        pytest.fail(f"of {SEEDS} seeds, seed {seed} breaks an invariant: {violation}\n{lines}")
    assert totals.seeds == SEEDS
    assert totals.faults.total() > SEEDS
    if SEEDS >= 1000:
        assert [name for name in EXERCISED if not totals.seen[name]] == []


def test_a_seed_gives_the_same_run_whatever_order_sets_have():
    code = (
        "from tests.simulation.run import simulate\n"
        "print([simulate(seed).digest for seed in range(400)])"
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


def test_a_part_that_is_taken_away_leaves_the_others_as_they_are():
    draw = Random(3).random  # noqa: S311 - reproducible on purpose
    whole = a_definition(draw, frozenset(CHANCES))
    names = parts_of(whole)
    step = next(name for name in names if name.startswith("step "))
    case = Case(3, without=frozenset({step}))
    task, key = step.removeprefix("step ").split("/")
    left = Parts(case).cut(whole)
    assert key not in left.tasks[task].flow
    others = {k: t for k, t in whole.tasks.items() if k != task}
    assert {k: t for k, t in left.tasks.items() if k != task} == others
