"""Pools: what a step asks of a worker, and which pools a worker takes from."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.pools import Reach, lane_of, needs_of, pool_of, priority_of
from chalicelib.domain.workflow import Action, ActionType, Priority, RunnerKind

TAGS = st.frozensets(st.text(min_size=1, max_size=5), max_size=3)


def asking(*tags, **given):
    return Action(**{"key": "a", "type": ActionType.SCRIPT, "tags": tags} | given)


@pytest.mark.parametrize(
    ("action", "pool"),
    [
        (asking(), "script"),
        (asking("gpu", "eu", "gpu"), "script-eu-gpu"),
        (asking("a-b", "c_d", "é"), "script-a_2db-c_5fd-_c3_a9"),
        (asking("gpu", runner=RunnerKind.DOCKER), "docker-gpu"),
        (asking(type=ActionType.DOCKER), "docker"),
        (asking(type=ActionType.POD), "kubernetes"),
        (asking(runner=RunnerKind.POD), "kubernetes"),
    ],
)
def test_a_pool_is_named_by_its_ability_and_its_tags_in_order(action, pool):
    assert pool_of(action) == pool


@given(TAGS, TAGS)
def test_two_sets_of_tags_never_share_a_pool(some, others):
    assert (pool_of(asking(*some)) == pool_of(asking(*others))) == (some == others)


@given(TAGS, st.sampled_from(Priority))
def test_a_lane_tells_what_its_pool_asks_for_and_how_urgent_it_is(tags, priority):
    lane = lane_of(pool_of(asking(*tags)), priority)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", lane)
    assert priority_of(lane) is priority
    assert needs_of(lane) == "+".join(("script", *sorted(tags)))
    assert lane in Reach(frozenset({"script"}), tags)


@given(TAGS, TAGS, st.booleans(), st.sampled_from(Priority))
def test_a_worker_takes_what_its_tags_cover_and_an_exclusive_one_nothing_less(
    own, asked, exclusive, priority
):
    reach = Reach(frozenset({"script"}), own, exclusive)
    pool = lane_of(pool_of(asking(*asked)), priority)
    assert (pool in reach) == (asked <= own and (not exclusive or own <= asked))
    assert pool not in Reach(frozenset({"docker"}), own, exclusive)


def test_of_many_pools_a_worker_takes_from_those_that_fit_the_urgent_ones_first():
    reach = Reach(frozenset({"script", "docker"}), frozenset({"gpu"}))
    pools = ["docker", "script_low", "script-gpu", "script-gpu-eu", "script", "script-gpu_high"]
    assert reach.of([*pools, "agent", "script"]) == (
        "script-gpu_high",
        "docker",
        "script-gpu",
        "script",
        "script_low",
    )
    exclusive = Reach(frozenset({"script"}), frozenset({"gpu"}), exclusive=True)
    assert exclusive.of(pools) == ("script-gpu_high", "script-gpu")
