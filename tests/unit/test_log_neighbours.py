"""Many attempts are read together: the same is found as one by one, and it takes few queries."""

from bisect import bisect_left, bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import keys
from chalicelib.store.log_neighbours import PAGE, WIDEST_PAGE, settled
from tests.fakes.builders import a_chunk

LOOP = [(f"loop[{index}]", 1) for index in range(400, 600)]
ATTEMPTS = st.tuples(
    st.sampled_from(["a", "ab", "a-b", "a[1]", "a[10]", "a[2]", "ab[1]", "b", "größe[3]", "A"]),
    st.integers(1, 12),
)


class Partition:
    """Chunks of attempts, by their keys; notes what is asked for."""

    def __init__(self, lengths):
        chunks = {
            keys.log_sk(*one, first): a_chunk("job", one[0], attempt=one[1], first=first)
            for one, length in lengths.items()
            for first in range(1, length + 1)
        }
        self._keys = sorted(chunks)
        self._chunks = [chunks[key] for key in self._keys]
        self.pages = 0
        self.singles = 0

    @property
    def queries(self):
        return self.pages + self.singles

    def own(self, one):
        return self._between(keys.log_sk(*one, 0), keys.log_sk(*one, keys.LAST_LINE))

    def page(self, start, end, limit):
        assert PAGE <= limit <= WIDEST_PAGE
        self.pages += 1
        return self._between(start, end)[:limit]

    def alone(self, one):
        self.singles += 1
        return self.own(one)

    def settled(self, wanted):
        return list(settled(wanted, self.page, self.alone))

    def _between(self, start, end):
        return self._chunks[bisect_left(self._keys, start) : bisect_right(self._keys, end)]


@given(
    lengths=st.dictionaries(
        ATTEMPTS, st.sampled_from([1, 1, 1, 2, 2, 3, 7, 31, 32, 33, 100]), max_size=60
    ),
    wanted=st.sets(ATTEMPTS, max_size=60),
    share=st.floats(0, 1),
)
def test_the_same_is_found_as_one_by_one(lengths, wanted, share):
    wanted |= set(list(lengths)[: int(share * len(lengths))])
    place = Partition(lengths)
    found = place.settled(wanted)
    assert dict(found) == {one: place.own(one) for one in wanted}
    assert [one for one, _ in found] == sorted(wanted, key=lambda one: keys.log_sk(*one, 0))


@pytest.mark.parametrize(("chunks", "most"), [(0, 1), (1, 7), (2, 14), (3, 20)])
def test_short_attempts_of_a_loop_take_a_query_for_many(chunks, most):
    place = Partition(dict.fromkeys(LOOP, chunks))
    assert [len(found) for _, found in place.settled(LOOP)] == [chunks] * 200
    assert place.queries <= most


def test_long_attempts_take_hardly_more_queries_than_one_each():
    place = Partition(dict.fromkeys(LOOP, 300))
    found = place.settled(LOOP[:50])
    assert [len(own) for _, own in found] == [300] * 50
    assert (place.pages, place.singles) == (3, 50)
    place.pages = 0
    place.settled(LOOP)
    assert place.pages == 5


def test_short_attempts_behind_long_ones_are_read_together_again():
    place = Partition(dict.fromkeys(LOOP[:20], 300) | dict.fromkeys(LOOP[20:], 1))
    place.settled(LOOP)
    assert place.queries < 20 + 2 + 8 + 6


@pytest.mark.parametrize(("near", "asked"), [(40, (4, 0)), (35, (3, 8))])
def test_what_nobody_asked_for_is_passed_over(near, asked):
    wanted = LOOP[:near] + LOOP[-near:]
    place = Partition(dict.fromkeys(wanted, 1) | {("loop[500]", 1): 300})
    assert [len(own) for _, own in place.settled(wanted)] == [1] * len(wanted)
    assert (place.pages, place.singles) == asked


def test_the_first_instances_of_a_loop_are_found_among_all():
    loop = [(f"loop[{index}]", 1) for index in range(600)]
    place = Partition(dict.fromkeys(loop, 1))
    assert [len(found) for _, found in place.settled(loop[:192])] == [1] * 192
    assert place.queries <= 13


def test_what_is_rare_among_the_short_is_asked_for_one_by_one():
    loop = [(f"loop[{index:05}]", 1) for index in range(3_000)]
    place = Partition(dict.fromkeys(loop, 1))
    place.settled(loop[::100])
    # Each page takes at least the attempt that it begins with.
    assert place.pages <= 8
    assert place.queries <= 31


def test_few_are_asked_for_one_by_one():
    place = Partition(dict.fromkeys(LOOP, 1))
    place.settled(LOOP[:8] * 2)
    assert (place.pages, place.singles) == (0, 8)
    place.settled([])
    assert place.queries == 8
