"""The simulator finds what it is there for: every wrong protocol breaks an invariant."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.mutants_more import MORE_MUTANTS
from tests.simulation.run import simulate

SEEDS = 1000


@pytest.mark.parametrize("mutant", [*MUTANTS, *MORE_MUTANTS], ids=lambda mutant: mutant.name)
def test_the_simulator_finds(mutant):
    for seed in range(SEEDS):
        result = simulate(seed, mutant.build)
        if result.violation:
            right = simulate(seed)
            assert right.violation is None
            # A mutant that changes nothing would pass for a harmless one.
            assert result.digest != right.digest
            return
    pytest.fail(f"{SEEDS} seeds and no violation: {mutant.name}")
