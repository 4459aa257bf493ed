"""How a loop's instances are shown: figures, the statuses that nobody stored, which of many.

Nothing here decides anything; `loops` does. Source: state machines, section 3.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chalicelib.domain.job import LoopGroup, LoopRun, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import GROUP_SIZE, begun, new_group, reach
from chalicelib.domain.workflow import FlowStep


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """How far a loop is. `done` have ended, `failed` of them failed; `running` were begun or sent
    to workers and have not ended.
    """

    total: int
    done: int
    failed: int
    running: int


def figures(loop: StepRecord, run: LoopRun, groups: Mapping[int, LoopGroup]) -> LoopFigures:
    """Return how far the loop is."""
    return LoopFigures(
        total=run.total,
        done=sum(len(new_group(g.number, run.total).open) - len(g.open) for g in groups.values()),
        failed=sum(len(group.failed) for group in groups.values()),
        running=0 if loop.status.is_terminal else len(begun(groups, run.sent)),
    )


def untouched(
    step: FlowStep,
    loop: StepRecord,
    run: LoopRun,
    groups: Mapping[int, LoopGroup],
    *,
    is_cancelled: bool,
) -> tuple[StepStatus, int, StepStatus]:
    """Return where instances without a record stand: below an index, the index, and from it on."""
    below = reach(step, run.total, groups)
    if loop.status is StepStatus.CANCELLED or (is_cancelled and not loop.status.is_terminal):
        return StepStatus.CANCELLED, below, StepStatus.CANCELLED
    if loop.status.is_terminal:
        return StepStatus.SKIPPED, below, StepStatus.SKIPPED
    return StepStatus.READY, below, StepStatus.PENDING


def chosen(total: int, groups: Mapping[int, LoopGroup], most: int) -> list[range]:
    """Return up to `most` instances in runs of neighbours: all of them, if they are so few.

    Else whole groups: those in which one failed, then those that are at work, then the first.
    """
    if total <= most:
        return [range(total)]
    if most < GROUP_SIZE:
        return [range(most)] if most else []
    numbers = range(-(-total // GROUP_SIZE))
    best = sorted(numbers, key=lambda number: (_rank(groups.get(number)), number))
    return _merged(sorted(best[: most // GROUP_SIZE]), total)


def _rank(group: LoopGroup | None) -> int:
    if group is None:
        return 2
    return 0 if group.failed else 1 if group.open else 2


def _merged(numbers: Iterable[int], total: int) -> list[range]:
    found: list[range] = []
    for number in numbers:
        first, last = number * GROUP_SIZE, min((number + 1) * GROUP_SIZE, total)
        if found and found[-1].stop == first:
            found[-1] = range(found[-1].start, last)
        else:
            found.append(range(first, last))
    return found
