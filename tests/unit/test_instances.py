"""Which instances of a loop are shown, and how far it is said to be."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.instances import chosen, figures
from chalicelib.domain.job import LoopGroup, LoopRun, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import GROUP_SIZE, new_group
from chalicelib.domain.values import NO_PAYLOAD


def a_loop(status=StepStatus.RUNNING):
    return StepRecord(step="loop", status=status, attempt=1, nonce="n")


@st.composite
def loops(draw):
    """A loop's size, and groups of it of which some are begun, ended, or have failed ones."""
    total = draw(st.integers(1, 10_000))
    groups = {}
    for number in range(draw(st.integers(0, -(-total // GROUP_SIZE)))):
        whole = new_group(number, total)
        left = draw(st.sampled_from([whole.open, frozenset(), frozenset(list(whole.open)[1:])]))
        failed = whole.open - left if draw(st.booleans()) else frozenset()
        groups[number] = LoopGroup(number, left, failed)
    return total, groups


@given(loops(), st.integers(0, 500))
def test_what_is_shown_is_in_order_within_the_loop_and_never_too_much(loop, most):
    total, groups = loop
    shown = [index for part in chosen(total, groups, most) for index in part]
    assert shown == sorted(set(shown))
    assert len(shown) <= most
    assert all(0 <= index < total for index in shown)
    assert total > most or len(shown) == total


@given(loops())
def test_what_failed_is_shown_before_what_did_not(loop):
    total, groups = loop
    shown = {index for part in chosen(total, groups, 500) for index in part}
    hidden = {index for group in groups.values() for index in group.failed} - shown
    if hidden:
        numbers = {index // GROUP_SIZE for index in shown}
        assert all(groups[number].failed for number in numbers if number in groups)
        assert numbers <= set(groups)


@given(loops())
def test_figures_add_up(loop):
    total, groups = loop
    found = figures(a_loop(), LoopRun(total, NO_PAYLOAD, sent=total), groups)
    assert 0 <= found.failed <= found.done
    assert found.done + found.running <= found.total == total
    ended = figures(a_loop(StepStatus.FAILED), LoopRun(total, NO_PAYLOAD, sent=total), groups)
    assert ended.running == 0
