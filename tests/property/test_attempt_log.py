"""One attempt's log is whole, whatever is lost, doubled or comes out of order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.client.merge import AttemptLog


def numbered(first, last):
    return [f"line {number}" for number in range(first, last + 1)]


@st.composite
def deliveries(draw):
    """An end, and messages `(first, last)` in any order, some twice, some never."""
    end = draw(st.integers(0, 60))
    cuts = sorted(draw(st.sets(st.integers(1, max(end, 1)), max_size=12)) | {end})
    parts = [(low + 1, high) for low, high in pairwise([0, *cuts]) if low < high <= end]
    spans = (
        [(first, draw(st.integers(first, end))) for first in draw(st.lists(st.integers(1, end)))]
        if end
        else []
    )
    sent = draw(st.lists(st.sampled_from(parts + spans), max_size=30)) if parts else []
    return end, sent


@given(
    deliveries(),
    st.integers(0, 8),
    st.booleans(),
    st.lists(st.booleans(), max_size=20),
)
def test_each_line_is_given_out_once_and_in_order(sent, max_aside, is_held, lost):
    end, messages = sent
    log = AttemptLog(max_aside=max_aside, is_held=is_held)
    got = []
    for first, last in messages:
        got += log.lines(first, numbered(first, last))
        log.grown(last)
    log.ended(end)
    got += log.release()
    answers_lost = iter(lost)
    for _ in range(200):
        hole = log.missing()
        if hole is None:
            break
        if not next(answers_lost, False):
            got += log.lines(hole[0], numbered(*hole))
    assert got == [(number, f"line {number}") for number in range(1, end + 1)]
    assert log.is_complete
    assert log.missing() is None


@given(st.integers(0, 30), deliveries())
def test_who_has_lines_already_gets_only_what_follows(have, sent):
    log = AttemptLog(have=have)
    due = [line for first, last in sent[1] for line in log.lines(first, numbered(first, last))]
    assert [number for number, _ in due] == list(range(have + 1, have + 1 + len(due)))


@given(deliveries())
def test_what_is_missing_has_not_come_and_is_there(sent):
    _, messages = sent
    log, came = AttemptLog(), set()
    for first, last in messages:
        log.lines(first, numbered(first, last))
        came |= set(range(first, last + 1))
    hole = log.missing()
    if hole is None:
        assert came == set(range(1, max(came, default=0) + 1))
    else:
        assert not came & set(range(hole[0], hole[1] + 1))
        assert hole[1] < max(came)


def test_lines_beyond_a_hole_are_bounded_and_asked_for_again():
    log = AttemptLog(max_aside=2)
    assert log.lines(3, numbered(3, 9)) == []
    assert log.missing() == (1, 2)
    assert [number for number, _ in log.lines(1, numbered(1, 2))] == [1, 2, 3, 4]
    assert log.missing() == (5, 9)


def test_what_is_held_back_comes_when_it_is_let_go():
    log = AttemptLog(is_held=True)
    assert log.lines(1, numbered(1, 3)) == []
    assert log.missing() is None
    assert [number for number, _ in log.release()] == [1, 2, 3]


def test_an_attempt_without_lines_is_complete_when_it_has_ended():
    log = AttemptLog()
    assert not log.is_complete
    log.ended(0)
    assert log.is_complete
