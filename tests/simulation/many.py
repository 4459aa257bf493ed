"""Run many seeds in several processes, tell how it goes, and show the first failure small.

One rule: what a process keeps of its seeds is sums, so that a million of them take no memory.
"""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import get_context

from tests.simulation.cases import Case
from tests.simulation.run import Totals, simulate
from tests.simulation.shrink import shrink

CHUNK = 100
_LINES = 150
_TOLD = ("depends_on", "when", "for_each", "sequential", "max_parallel", "retry")


def chunk(first_and_last):
    """Run the seeds from the one up to the other."""
    totals = Totals()
    for seed in range(*first_and_last):
        totals.add(simulate(seed))
    return totals


def run_all(first, seeds, processes, say=lambda _: None):
    """Return the sums of all seeds; `say` hears of them about every ten seconds.

    It hears at once of a seed that breaks an invariant.
    """
    ends = range(first, first + seeds, CHUNK)
    chunks = [(start, min(start + CHUNK, first + seeds)) for start in ends]
    totals, told = Totals(), time.monotonic()
    with get_context("spawn").Pool(processes) as pool:
        for part in pool.imap_unordered(chunk, chunks):
            totals.merge(part)
            for seed, violation in part.violations:
                say(f"seed {seed}: {violation}")
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(str(totals))
    return totals


def explain(seed, say=lambda _: None):
    """Return lines about a seed that breaks an invariant: what is left of it, and its trace."""
    case, result = shrink(seed, say=say)
    if result.violation is None:
        return [f"seed {seed}: no violation"]
    return [
        f"seed {seed} breaks an invariant: {result.violation}",
        f"made smaller by {len(case.without)} parts (order {case.salt}):",
        *_of_flow(case),
        *simulate(case, keep_trace=True).trace[-_LINES:],
    ]


def _of_flow(case):
    from tests.simulation.world import World  # noqa: PLC0415 - only what failed is shown

    definition = World(case).definition
    for task in definition.tasks.values():
        for step in task.flow.values():
            said = {name: getattr(step, name) for name in _TOLD}
            more = " ".join(f"{name}={value}" for name, value in said.items() if value)
            yield f"  {task.key}/{step.key}: {step.action} {more}"


def report(totals):
    """Return lines that say what the seeds had and did."""
    yield f"simulation: {totals}"
    for title, counts in (("faults", totals.faults), ("features", totals.seen)):
        told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
        yield f"  {title}: {told}"


def main(arguments=None):
    given = _parser().parse_args(arguments)
    if given.seed is not None:
        return _replay(given.seed, whole=given.whole)
    began = time.monotonic()
    totals = run_all(given.first, given.seeds, given.processes, say=_say)
    for line in report(totals):
        _say(line)
    _say(f"  {time.monotonic() - began:.0f} s")
    if totals.violations:
        for line in explain(totals.violations[0][0]):
            _say(line)
    return 1 if totals.violations else 0


def _replay(seed, *, whole):
    result = simulate(Case(seed), keep_trace=whole)
    lines = result.trace if whole else explain(seed) if result.violation else []
    for line in lines:
        _say(line)
    _say(f"seed {seed}: {result.violation or 'no violation'}")
    return 1 if result.violation else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="dev simulate",
        description="Run the engine under injected faults, one seed after the other. "
        "A seed that breaks an invariant is made smaller and shown.",
    )
    parser.add_argument("--seeds", type=int, default=20_000, help="how many (default 20,000)")
    parser.add_argument("--first", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--processes", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seed", type=int, help="replay this one seed only")
    parser.add_argument(
        "--whole", action="store_true", help="with --seed: print its whole trace, not made smaller"
    )
    return parser


def _say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
