"""Which chunks many attempts of a job have, read together where they stand together in the table.

One rule: whatever lies between and inside the attempts, it takes hardly more queries than to ask
for each by itself, and far fewer where they are short, as the instances of a loop are.
Source: the page `tables` of the reference, `logs`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from chalicelib.domain import keys
from chalicelib.domain.logs import LogChunk

Attempt = tuple[str, int]
# Chunks in a page, which have up to 8 KB each; in one where attempts are short, but few of them
# wanted: as are those of a loop's instances 20 to 29, which `[200]` to `[299]` stand between.
PAGE = 32
WIDEST_PAGE = 256
# Chunks of an attempt that is short.
_SHORT = 4
# Attempts that a page must settle to be worth its bytes. So few are asked for one by one.
FEW = 8


def settled(
    wanted: Iterable[Attempt],
    page: Callable[[str, str, int], Sequence[LogChunk]],
    alone: Callable[[Attempt], Sequence[LogChunk]],
) -> Iterator[tuple[Attempt, Sequence[LogChunk]]]:
    """Yield each attempt with its chunks, in the order of their keys.

    `page` returns the job's first chunks from one sort key to another, up to a limit; `alone` what
    is wanted of one attempt. Of those found on pages all chunks are there.
    """
    left = sorted(set(wanted), key=_begin)
    seen: dict[Attempt, list[LogChunk]] = {one: [] for one in left}
    start, limit, singly = "", PAGE, FEW
    while len(left) > FEW:
        found = page(max(start, _begin(left[0])), _end(left[-1]), limit)
        _keep(seen, found)
        done = _before(left, found[-1]) if len(found) == limit else len(left)
        yield from ((one, seen.pop(one)) for one in left[:done])
        del left[:done]
        # The attempt in which the page ends goes on behind it.
        start = _behind(found[-1]) if found else ""
        if done >= FEW:
            singly = FEW
        elif limit < WIDEST_PAGE and _are_short(found):
            limit *= 2
        else:
            # Long attempts, or much else in between. Each further page that shows too little
            # comes after twice as many: of 200 attempts there are five at most.
            yield from ((one, alone(one)) for one in left[:singly])
            del left[:singly]
            limit, singly = PAGE, singly * 2
    yield from ((one, alone(one)) for one in left)


def _are_short(found: Sequence[LogChunk]) -> bool:
    return len({(chunk.step, chunk.attempt) for chunk in found}) * _SHORT >= len(found)


def _keep(seen: dict[Attempt, list[LogChunk]], found: Iterable[LogChunk]) -> None:
    for chunk in found:
        if (own := seen.get((chunk.step, chunk.attempt))) is not None:
            own.append(chunk)


def _before(left: Sequence[Attempt], last: LogChunk) -> int:
    """Return how many attempts end before the one that this chunk is of."""
    return bisect_left(left, _begin((last.step, last.attempt)), key=_begin)


def _begin(one: Attempt) -> str:
    return keys.log_sk(*one, 0)


def _end(one: Attempt) -> str:
    return keys.log_sk(*one, keys.LAST_LINE)


def _behind(chunk: LogChunk) -> str:
    return keys.log_sk(chunk.step, chunk.attempt, chunk.first + 1)
