"""What every store of sources keeps: no write over another's, and what was published when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.origins import Holder, Publication, Source, SourceKind, SourceRecord
from chalicelib.domain.values import BlobRef
from chalicelib.store import dynamo
from chalicelib.store.memory_sources import MemorySources
from chalicelib.store.sources_table import SourcesTable
from tests.contract.faults import reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON

FULL = SourceRecord(
    holder=Holder.WORKSPACE,
    name="shop",
    source=Source(
        kind=SourceKind.GIT,
        url="https://git.example/shop.git",
        ref="release",
        poll_interval_s=90,
        token="ref+awsssm:///shop/token",
        username="bot",
        ssh_key="ref+awssecrets://shop-key",
        host_keys="git.example ssh-ed25519 AAAA",
        hook_secret="ref+awsssm:///shop/hook",
        lent_to=("team-*",),
    ),
    seen="c" * 40,
    tried_at=NOON,
    fault="shop.yaml:1:1: no ø",
    error="git at git.example refused us",
    revision="a" * 40,
    archive=BlobRef("workspaces/x", 3, "f" * 64),
)
FOLDER = SourceRecord(
    holder=Holder.LIBRARY, name="shop", source=Source(kind=SourceKind.FOLDER, path="/srv/lib")
)
PUBLISHED = Publication(
    workspace="shop",
    revision="a" * 40,
    at=NOON,
    kind="git",
    by="ann@example.com",
    commit="c" * 40,
    author="Ann <ann@example.com>",
    message="Ship it ø",
)


@pytest.fixture
def sources(place):
    return MemorySources() if place.is_memory else table(place)


@pytest.fixture
def remote_sources(remote):
    return table(remote)


def table(place):
    return SourcesTable(place.table("RegistryTable"), REGION, place.host)


def test_a_source_is_kept_as_it_is(sources):
    for record in (FULL, FOLDER):
        sources.put(record, None)
        assert sources.get(record.holder, record.name) == record
    assert sources.get(Holder.WORKSPACE, "other") is None


def test_workspaces_and_libraries_are_told_apart_and_listed_by_name(sources):
    first = replace(FULL, name="alpha")
    for record in (FULL, first, FOLDER):
        sources.put(record, None)
    assert sources.all(Holder.WORKSPACE) == [first, FULL]
    assert sources.all(Holder.LIBRARY) == [FOLDER]
    assert sources.all() == [FOLDER, first, FULL]


def test_a_source_is_replaced_only_as_it_was_read(sources):
    sources.put(FULL, None)
    later = replace(FULL, seen="d" * 40)
    sources.put(later, FULL)
    with pytest.raises(ConflictError, match="changed at the same time"):
        sources.put(replace(FULL, seen="e" * 40), FULL)
    with pytest.raises(ConflictError):
        sources.put(FULL, None)
    assert sources.get(Holder.WORKSPACE, "shop") == later


def test_a_repeat_of_a_write_is_no_conflict(sources):
    sources.put(FULL, None)
    sources.put(FULL, None)
    assert sources.all(Holder.WORKSPACE) == [FULL]


def test_a_write_whose_reply_was_lost_counts_as_done(remote_sources, remote):
    client = dynamo.connection(REGION, remote.host).client
    with reply_lost_once(client, "PutItem"):
        remote_sources.put(FULL, None)
    assert remote_sources.get(Holder.WORKSPACE, "shop") == FULL


def test_a_source_is_removed_and_a_repeat_is_no_error(sources):
    sources.put(FULL, None)
    for _ in range(2):
        sources.delete(Holder.WORKSPACE, "shop")
    assert sources.get(Holder.WORKSPACE, "shop") is None


def test_what_was_published_comes_newest_first_and_of_one_workspace_only(sources):
    later = replace(PUBLISHED, revision="b" * 40, at=NOON + timedelta(seconds=1), kind="rollback")
    bare = Publication(workspace="other", revision="a" * 40, at=NOON, kind="push")
    for one in (PUBLISHED, later, bare, PUBLISHED):
        sources.note(one)
    assert sources.history("shop", 10) == [later, PUBLISHED]
    assert sources.history("shop", 1) == [later]
    assert sources.history("other", 10) == [bare]


def test_a_long_message_is_cut_and_kept(sources):
    sources.note(replace(PUBLISHED, message="x" * 100_000))
    assert (sources.history("shop", 1)[0].message or "").startswith("xxx")
