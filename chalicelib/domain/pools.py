"""Which pool of workers runs an action, and which pools a worker takes from.

A pool is the ability that its workers need and the tags that they must have. What is urgent, or
can wait, has a lane of its own beside the pool's, which exists from its first message on.
Source: decision 11; state machines, section 3.12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from chalicelib.domain.workflow import Action, ActionType, Priority, RunnerKind

# With the stack's name in front and a lane behind, a queue's name has 80 characters.
MAX_POOL_CHARS = 40

_OF_TYPE = {
    ActionType.DOCKER: "docker",
    ActionType.POD: "kubernetes",
    ActionType.AGENT: "agent",
}
_OF_RUNNER = {
    RunnerKind.LOCAL: "script",
    RunnerKind.DOCKER: "docker",
    RunnerKind.POD: "kubernetes",
}
# No tag is spelled with these: a `_` there is followed by two hexadecimal digits.
_LANES = {Priority.HIGH: "_high", Priority.NORMAL: "", Priority.LOW: "_low"}


def ability_of(action: Action) -> str:
    """Return what a worker must be able to do to run the action."""
    if action.type is ActionType.SCRIPT:
        return _OF_RUNNER[action.runner]
    return _OF_TYPE.get(action.type, "script")


def pool_of(action: Action) -> str:
    """Return the pool's name: the ability, then the tags in alphabetical order, joined by `-`.

    A queue's name has no other characters than letters, digits, `-` and `_`, so any other byte of
    a tag, and `-` and `_` themselves, are spelled `_` and two hexadecimal digits.
    """
    return "-".join((ability_of(action), *(_spelled(tag) for tag in sorted(set(action.tags)))))


def lane_of(pool: str, priority: Priority) -> str:
    """Return the queue for the pool's work of this priority."""
    return pool + _LANES[priority]


def priority_of(lane: str) -> Priority:
    """Return the priority of the work in a pool's lane."""
    lanes = (Priority.HIGH, Priority.LOW)
    return next((p for p in lanes if lane.endswith(_LANES[p])), Priority.NORMAL)


def needs_of(lane: str) -> str:
    """Return what a pool asks for, for people: the ability and the tags, such as `script+gpu`."""
    ability, tags = _needs(lane)
    return "+".join((ability, *sorted(tags)))


@dataclass(frozen=True, slots=True)
class Reach:
    """What a worker can do and which tags it has: contains the pools that it takes from.

    An exclusive one takes only what asks for all of its tags. `only` are names, or globs, of the
    pools that it may take from at all; None: all.
    """

    abilities: frozenset[str]
    tags: frozenset[str] = frozenset()
    exclusive: bool = False
    only: tuple[str, ...] | None = None

    def __contains__(self, pool: object) -> bool:
        """Say whether the worker takes from the pool, or from the lane of it."""
        if not isinstance(pool, str):
            return False
        ability, tags = _needs(pool)
        if ability not in self.abilities or not tags <= self.tags or not self._may(pool):
            return False
        return not self.exclusive or self.tags <= tags

    def of(self, pools: Iterable[str]) -> tuple[str, ...]:
        """Return those of the pools that the worker takes from, the urgent lanes first."""
        ranks = {priority: rank for rank, priority in enumerate(Priority)}
        found = [pool for pool in dict.fromkeys(pools) if pool in self]
        return tuple(sorted(found, key=lambda pool: ranks[priority_of(pool)]))

    def _may(self, lane: str) -> bool:
        return self.only is None or any(fnmatchcase(_base(lane), name) for name in self.only)


def _needs(lane: str) -> tuple[str, frozenset[str]]:
    ability, *tags = _base(lane).split("-")
    return ability, frozenset(map(_read, tags))


def _base(lane: str) -> str:
    return lane.removesuffix(_LANES[priority_of(lane)])


def _spelled(tag: str) -> str:
    return re.sub(rb"[^A-Za-z0-9]", lambda m: b"_%02x" % m[0][0], tag.encode()).decode()


def _read(spelled: str) -> str:
    escaped = re.sub(rb"_([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), spelled.encode())
    return escaped.decode(errors="replace")
