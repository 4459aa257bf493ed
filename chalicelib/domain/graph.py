"""Pure graph questions about a flow: order, layers, ancestors, cycles, sinks.

Ties keep the document's order.

Dependencies on steps that do not exist are ignored here; `validate` names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from chalicelib.domain.workflow import FlowStep


@dataclass(frozen=True, slots=True)
class _Edges:
    needs: dict[str, list[str]]
    feeds: dict[str, list[str]]


def _edges(flow: Mapping[str, FlowStep]) -> _Edges:
    needs = {
        name: list(dict.fromkeys(dep for dep in step.depends_on if dep in flow))
        for name, step in flow.items()
    }
    feeds: dict[str, list[str]] = {name: [] for name in flow}
    for name, deps in needs.items():
        for dep in deps:
            feeds[dep].append(name)
    return _Edges(needs, feeds)


def order(flow: Mapping[str, FlowStep]) -> tuple[str, ...]:
    """Return the steps so that each comes after what it needs; steps on or behind a cycle are left
    out.
    """
    edges, rank = _edges(flow), {name: index for index, name in enumerate(flow)}
    names = list(flow)
    open_needs = {name: len(deps) for name, deps in edges.needs.items()}
    ready = [rank[name] for name, count in open_needs.items() if count == 0]
    heapify(ready)
    done: list[str] = []
    while ready:
        name = names[heappop(ready)]
        done.append(name)
        for follower in edges.feeds[name]:
            open_needs[follower] -= 1
            if open_needs[follower] == 0:
                heappush(ready, rank[follower])
    return tuple(done)


def layers(flow: Mapping[str, FlowStep]) -> tuple[tuple[str, ...], ...]:
    """Return the steps by their longest distance from a root; what one layer holds may run at
    once.
    """
    needs = _edges(flow).needs
    depth: dict[str, int] = {}
    for name in order(flow):
        depth[name] = max((depth[dep] + 1 for dep in needs[name]), default=0)
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in flow:
        if name in depth:
            rows[depth[name]].append(name)
    return tuple(tuple(row) for row in rows)


def ancestors(flow: Mapping[str, FlowStep], step: str) -> frozenset[str]:
    """Return every step that `step` waits for, near or far; on a cycle that includes itself."""
    return frozenset(_reach(_edges(flow).needs, step))


class Ancestry:
    """Answers many questions of who waits for whom, near or far, after one pass over the flow."""

    def __init__(self, flow: Mapping[str, FlowStep]) -> None:
        needs, names = _edges(flow).needs, order(flow)
        self._bit = {name: 1 << index for index, name in enumerate(names)}
        self._above: dict[str, int] = {}
        for name in names:
            above = 0
            for dep in needs[name]:
                above |= self._above[dep] | self._bit[dep]
            self._above[name] = above

    def waits(self, step: str, for_step: str) -> bool:
        """Say whether `step` waits for the other; yes for any step on or behind a cycle.

        It never runs.
        """
        if step not in self._above:
            return True
        return bool(self._above[step] & self._bit.get(for_step, 0))


def _reach(edges: Mapping[str, list[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges[name])
    return seen


def sinks(flow: Mapping[str, FlowStep]) -> tuple[str, ...]:
    """Return the steps that nobody depends on: their outputs are the job's output."""
    needed = {dep for step in flow.values() for dep in step.depends_on}
    return tuple(name for name in flow if name not in needed)


def cycles(flow: Mapping[str, FlowStep]) -> tuple[tuple[str, ...], ...]:
    """Return closed paths of steps that wait for each other, as in `("a", "b", "a")`, each step in
    one at most.

    Empty only if there is no cycle. A path starts with its step that comes first in the document.
    """
    needs, rank = _edges(flow).needs, {name: index for index, name in enumerate(flow)}
    stuck = set(flow) - set(order(flow))
    # A step that never runs waits for one that never runs: following one such each time must meet
    # a cycle.
    next_of = {name: next(dep for dep in needs[name] if dep in stuck) for name in stuck}
    walked: set[str] = set()
    found: list[tuple[str, ...]] = []
    for start in flow:
        path: dict[str, None] = {}
        name = start
        while name in stuck and name not in walked:
            walked.add(name)
            path[name] = None
            name = next_of[name]
        if name in path:
            found.append(_closed(list(path), name, rank))
    return tuple(found)


def _closed(path: list[str], entry: str, rank: Mapping[str, int]) -> tuple[str, ...]:
    loop = path[path.index(entry) :]
    start = loop.index(min(loop, key=lambda name: rank[name]))
    return (*loop[start:], *loop[:start], loop[start])
