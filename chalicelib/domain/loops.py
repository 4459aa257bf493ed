"""How a `for_each` loop goes on: which of its instances may begin, and when it has ended.

The one rule: an instance may begin when its index lies below `reach`, which only ever grows; so
whoever looks, whenever, comes to the same or to a later answer.
Source: workflow language, section 1.7; state machines, section 3.7; protocol, items.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from chalicelib.domain.job import LoopGroup
from chalicelib.domain.workflow import FlowStep

GROUP_SIZE = 64
# Without a limit of its own a loop has this many groups begun at a time: enough for a thousand
# slots, and few enough that one loop does not fill a queue with ten thousand messages.
OPEN_GROUPS = 16

_INSTANCE = re.compile(r"(?P<step>[^\[\]]+)\[(?P<index>0|[1-9]\d{0,4})\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Instance:
    """One round of a loop."""

    step: str
    index: int


def instance_name(step: str, index: int) -> str:
    """Return the step name of an instance, such as `build[3]`."""
    return f"{step}[{index}]"


def instance_of(step: str) -> Instance | None:
    """Return what an instance's step name says; None for a step of the flow."""
    match = _INSTANCE.fullmatch(step)
    return Instance(match["step"], int(match["index"])) if match else None


def flow_key(step: str) -> str:
    """Return the step of the flow that a step or an instance belongs to."""
    instance = instance_of(step)
    return instance.step if instance else step


def group_of(index: int) -> int:
    """Return the number of the group that holds an instance."""
    return index // GROUP_SIZE


def new_group(number: int, total: int) -> LoopGroup:
    """Return a group none of whose instances has ended."""
    first = number * GROUP_SIZE
    return LoopGroup(number, frozenset(range(first, min(first + GROUP_SIZE, total))))


def parallel_limit(step: FlowStep) -> int | None:
    """Return how many instances may run at a time; None for as many as there are slots."""
    return 1 if step.sequential else step.max_parallel


def reach(step: FlowStep, total: int, groups: Mapping[int, LoopGroup]) -> int:
    """Return the index below which instances may begin: all before it have begun or may.

    With a limit of k, the first k that have not ended may run; without one, those of the first 16
    groups that have not.
    """
    if is_stopped(step, groups):
        return min(total, 1 + max(index for group in groups.values() for index in group.failed))
    limit = parallel_limit(step)
    numbers = range(-(-total // GROUP_SIZE))
    if limit is None:
        going = (n for n in numbers if n not in groups or groups[n].open)
        last = next(islice(going, OPEN_GROUPS - 1, None), None)
        return total if last is None else min(total, (last + 1) * GROUP_SIZE)
    for number in numbers:
        left = (groups.get(number) or new_group(number, total)).open
        if len(left) >= limit:
            return 1 + sorted(left)[limit - 1]
        limit -= len(left)
    return total


def is_stopped(step: FlowStep, groups: Mapping[int, LoopGroup]) -> bool:
    """Say whether no further instance begins: one of a sequential loop has failed."""
    failed = any(group.failed for group in groups.values())
    return failed and step.sequential and not step.continue_on_failure


def missing_groups(total: int, groups: Mapping[int, LoopGroup], below: int) -> Iterable[LoopGroup]:
    """Return the groups that must be begun before the instances below `below` may be."""
    needed = range(-(-below // GROUP_SIZE))
    return [new_group(number, total) for number in needed if number not in groups]


def begun(groups: Mapping[int, LoopGroup], below: int) -> list[int]:
    """Return the indexes below `below` of the instances that have not ended, in order."""
    return sorted(index for group in groups.values() for index in group.open if index < below)


def is_over(step: FlowStep, total: int, groups: Mapping[int, LoopGroup]) -> bool:
    """Say whether no instance runs and none begins any more."""
    below = reach(step, total, groups)
    if below < total and not is_stopped(step, groups):
        return False
    whole = all(number in groups for number in range(-(-below // GROUP_SIZE)))
    return whole and not begun(groups, below)


def failed_instances(groups: Mapping[int, LoopGroup]) -> list[int]:
    """Return the indexes of the failed instances, in order."""
    return sorted(index for group in groups.values() for index in group.failed)


def failure(step: FlowStep, groups: Mapping[int, LoopGroup]) -> str | None:
    """Return the error that the loop ends with; None when it completes.

    Source: state machines, section 3.7.
    """
    failed = failed_instances(groups)
    if not failed or step.continue_on_failure:
        return None
    return f"for_each loop failed: instances {failed}"
