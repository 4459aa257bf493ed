"""What every store of worker groups keeps: whole groups, and one winner of two changes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.worker_groups import Scope, WorkerGroup, WorkerToken
from chalicelib.store import dynamo
from chalicelib.store.memory_worker_groups import MemoryWorkerGroups
from chalicelib.store.worker_groups_table import WorkerGroupsTable
from tests.contract.faults import reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON

TOKEN = WorkerToken(token_id="t1", digest="ab" * 32, created_at=NOON)


@pytest.fixture
def groups(place):
    if place.is_memory:
        return MemoryWorkerGroups()
    return WorkerGroupsTable(place.table("RegistryTable"), REGION, place.host)


@pytest.fixture
def remote_groups(remote):
    return WorkerGroupsTable(remote.table("RegistryTable"), REGION, remote.host)


def a_group(name="team-a", **given):
    return WorkerGroup(**{"group_id": f"id-{name}", "name": name, "created_at": NOON, **given})


def test_groups_are_kept_whole_and_listed_by_name(groups):
    plain = a_group("zeta")
    full = a_group(
        scope=Scope(pools=("script", "docker-gpu"), workspaces=("a-*", "ø")),
        capabilities=("script",),
        tokens=(TOKEN, replace(TOKEN, token_id="t2", expires_at=NOON + timedelta(days=1))),
        revoked_at=NOON + timedelta(microseconds=1),
    )
    for group in (plain, full):
        groups.put(group, None)
    assert groups.groups() == [full, plain]
    assert groups.group("team-a") == full


def test_an_unknown_group_is_not_found(groups):
    assert groups.groups() == []
    with pytest.raises(NotFoundError, match="no worker group 'team-a'"):
        groups.group("team-a")


def test_of_two_changes_at_a_time_one_is_refused(groups):
    first = a_group()
    groups.put(first, None)
    changed = replace(first, tokens=(TOKEN,))
    groups.put(changed, first)
    with pytest.raises(ConflictError, match="changed at the same time"):
        groups.put(replace(first, revoked_at=NOON), first)
    with pytest.raises(ConflictError, match="changed at the same time"):
        groups.put(a_group(group_id="another"), None)
    assert groups.group("team-a") == changed


def test_writing_the_same_again_is_no_conflict(groups):
    first = a_group()
    changed = replace(first, tokens=(TOKEN,))
    for group, expected in ((first, None), (first, None), (changed, first), (changed, first)):
        groups.put(group, expected)
    assert groups.group("team-a") == changed


def test_a_change_whose_reply_was_lost_is_done(remote, remote_groups):
    client = dynamo.connection(REGION, remote.host).client
    with reply_lost_once(client, "PutItem") as lost:
        remote_groups.put(a_group(), None)
    assert lost
    assert remote_groups.group("team-a") == a_group()
