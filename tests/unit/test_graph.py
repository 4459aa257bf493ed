"""Order, layers, ancestors, sinks and cycles of a flow."""

from chalicelib.domain.graph import Ancestry, ancestors, cycles, layers, order, sinks
from chalicelib.domain.workflow import FlowStep


def flow(**needs):
    return {
        name: FlowStep(key=name, action="a", depends_on=tuple(deps.split()))
        for name, deps in needs.items()
    }


DIAMOND = flow(end="left right", left="start", right="start", start="", alone="")


def test_each_step_comes_after_what_it_needs_and_ties_keep_the_order_of_the_document():
    assert order(DIAMOND) == ("start", "left", "right", "end", "alone")


def test_a_layer_holds_what_may_run_at_once():
    assert layers(DIAMOND) == (("start", "alone"), ("left", "right"), ("end",))
    assert layers({}) == ()


def test_ancestors_are_all_that_a_step_waits_for():
    assert ancestors(DIAMOND, "end") == {"left", "right", "start"}
    assert ancestors(DIAMOND, "start") == frozenset()


def test_ancestry_answers_like_ancestors():
    ancestry = Ancestry(DIAMOND)
    for step in DIAMOND:
        above = ancestors(DIAMOND, step)
        assert {other for other in DIAMOND if ancestry.waits(step, other)} == above


def test_sinks_are_what_nobody_needs():
    assert sinks(DIAMOND) == ("end", "alone")


def test_a_cycle_is_a_closed_path_from_its_first_step():
    assert cycles(flow(a="c", b="a", c="b")) == (("a", "c", "b", "a"),)
    assert cycles(flow(a="a")) == (("a", "a"),)
    assert cycles(DIAMOND) == ()


def test_two_cycles_are_both_found_and_what_waits_for_them_is_in_none():
    found = cycles(flow(z="b", a="b", b="a", c="d z", d="c"))
    assert found == (("a", "b", "a"), ("c", "d", "c"))


def test_steps_on_or_behind_a_cycle_have_no_place_in_the_order():
    assert order(flow(a="b", b="a", c="b", d="")) == ("d",)


def test_dependencies_that_do_not_exist_or_are_doubled_change_nothing():
    strange = flow(a="nope", b="a a")
    assert order(strange) == ("a", "b")
    assert ancestors(strange, "b") == {"a"}


def test_a_chain_of_five_thousand_steps_is_no_trouble():
    chain = flow(**{f"s{n}": f"s{n - 1}" if n else "" for n in range(5_000)})
    assert len(order(chain)) == len(layers(chain)) == 5_000
    ring = {**chain, "s0": FlowStep(key="s0", action="a", depends_on=("s4999",))}
    assert len(cycles(ring)[0]) == 5_001
