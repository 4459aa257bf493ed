"""Folders are watched: what is written in them is published, once it stands still."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.origins import Holder, Source, SourceKind, SourceRecord
from chalicelib.workspaces.folder import read_folder
from chalicelib.workspaces.publish import PUSHED, publish, put_back
from chalicelib.workspaces.watching import Watcher, fingerprint
from tests.api.world import an_engine

ONE = "tasks: {one: {flow: {s: {type: script, script: echo 1}}}}"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.yaml").write_text(ONE)
    return folder


@pytest.fixture
def engine(folder):
    engine = an_engine()
    assert publish(engine, "shop", read_folder(folder), str(folder)).ok
    return engine


def settled(watcher):
    return [*watcher.look(), *watcher.look()]


def tasks(engine, name="shop"):
    revision = engine.registry.workspace(name).revision
    return list(engine.definitions.load(name, revision).tasks)


def test_a_change_is_published_when_it_has_stood_still_for_a_look(engine, folder):
    watcher = Watcher(engine)
    settled(watcher)
    (folder / "shop.yaml").write_text(ONE.replace("one", "two"))
    assert watcher.look() == []
    (folder / "more.txt").write_text("still writing")
    assert watcher.look() == []
    assert watcher.look() == ["shop"]
    assert tasks(engine) == ["two"]
    assert settled(watcher) == []


def test_a_file_of_the_same_size_and_an_execute_bit_are_changes(engine, folder):
    watcher = Watcher(engine)
    settled(watcher)
    script = folder / "run.sh"
    script.write_text("echo")
    assert settled(watcher) == ["shop"]
    before = engine.registry.workspace("shop").revision
    script.chmod(0o755)
    assert settled(watcher) == ["shop"]
    assert engine.registry.workspace("shop").revision != before
    script.unlink()
    assert settled(watcher) == ["shop"]


def test_a_broken_file_replaces_nothing_and_is_mended_by_the_next_change(engine, folder):
    watcher = Watcher(engine)
    settled(watcher)
    (folder / "shop.yaml").write_text("tasks: [")
    settled(watcher)
    assert tasks(engine) == ["one"]
    assert "shop.yaml:1" in engine.registry.workspace("shop").error
    (folder / "shop.yaml").write_text(ONE)
    settled(watcher)
    assert engine.registry.workspace("shop").error is None


def test_what_was_rolled_back_stays_until_the_folder_changes(engine, folder):
    watcher = Watcher(engine)
    settled(watcher)
    first = engine.registry.workspace("shop").revision
    (folder / "shop.yaml").write_text(ONE.replace("one", "two"))
    settled(watcher)
    put_back(engine, "shop", first, PUSHED)
    assert settled(watcher) == []
    assert tasks(engine) == ["one"]


def test_sources_and_libraries_in_folders_are_watched_too(engine, tmp_path):
    lib = tmp_path / "lib"
    lib.mkdir()
    (lib / "lib.yaml").write_text("actions: {a: {type: script, script: echo}}")
    source = Source(kind=SourceKind.FOLDER, path=str(lib))
    for holder in Holder:
        record = SourceRecord(holder=holder, name="lib", source=source)
        engine.sources.put(record, None)
    assert sorted(settled(Watcher(engine))) == ["lib", "lib", "shop"]
    assert engine.sources.get(Holder.LIBRARY, "lib").revision
    assert engine.registry.workspace("lib").revision


def test_a_folder_that_is_gone_or_of_another_source_is_left_alone(engine, folder):
    record = SourceRecord(
        holder=Holder.WORKSPACE, name="shop", source=Source(kind=SourceKind.PUSH)
    )
    engine.sources.put(record, None)
    assert settled(Watcher(engine)) == []
    gone = replace(record, source=Source(kind=SourceKind.FOLDER, path=str(folder / "none")))
    engine.sources.put(gone, record)
    assert settled(Watcher(engine)) == []


def test_a_repository_s_own_folder_and_links_do_not_count(folder, tmp_path):
    before = fingerprint(folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "index").write_text("x")
    (folder / "link").symlink_to(tmp_path)
    assert fingerprint(folder) == before
