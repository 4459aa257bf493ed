"""Folders into trees, trees into revisions."""

import os
import socket

import pytest

from chalicelib.domain.errors import InvalidError, NotFoundError, TooLargeError
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.workspaces import limits
from chalicelib.workspaces.folder import read_folder
from chalicelib.workspaces.limits import Budget, check_path
from chalicelib.workspaces.revision import content_hash


def test_a_folder_gives_its_files_with_paths_and_execute_bits(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "run.sh").write_bytes(b"true\n")
    (tmp_path / "a" / "b" / "run.sh").chmod(0o700)
    (tmp_path / "w.yaml").write_bytes(b"\xff")
    assert read_folder(tmp_path).files == {
        "a/b/run.sh": SourceFile(b"true\n", executable=True),
        "w.yaml": SourceFile(b"\xff"),
    }


def test_git_links_and_sockets_are_left_out(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / ".git").mkdir()
    (inside / ".git" / "config").write_text("x")
    (inside / "link").symlink_to(outside / "secret")
    (inside / "directory").symlink_to(outside)
    os.mkfifo(inside / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(inside / "socket"))
        assert read_folder(inside).files == {}


def test_names_are_brought_to_one_form(tmp_path):
    (tmp_path / "e\u0301.txt").write_text("x")
    assert list(read_folder(tmp_path).files) == ["\u00e9.txt"]
    (tmp_path / "\u00e9.txt").write_text("y")
    with pytest.raises(InvalidError, match="two files are called"):
        read_folder(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(NotFoundError, match="there is no folder"):
        read_folder(tmp_path / "nope")


def test_names_that_could_not_be_unpacked_are_refused(tmp_path):
    (tmp_path / "a\nb").write_text("x")
    with pytest.raises(InvalidError, match="control character"):
        read_folder(tmp_path)


def test_folders_deeper_than_fifty_levels_are_refused(tmp_path):
    (tmp_path / "/".join("d" * 52)).mkdir(parents=True)
    with pytest.raises(InvalidError, match="levels deep"):
        read_folder(tmp_path)


def test_the_budget_counts_files_and_bytes():
    budget = Budget()
    budget.file(limits.MAX_BYTES)
    with pytest.raises(TooLargeError, match="larger than 200000000 bytes"):
        budget.file(1)
    budget = Budget()
    for _ in range(limits.MAX_FILES):
        budget.file(0)
    with pytest.raises(TooLargeError, match="more than 10000 files"):
        budget.file(0)


@pytest.mark.parametrize(
    "path", ["a", "a/b.c", ".workflows/a", "æ/ø å", "...", "a..b", "-x", "x" * 255]
)
def test_plain_paths_pass(path):
    check_path(path)


TREE = WorkspaceTree({"a": SourceFile(b"1"), "b": SourceFile(b"2", executable=True)})


def test_the_same_files_give_the_same_revision_in_any_order():
    turned = WorkspaceTree(dict(reversed(TREE.files.items())))
    assert content_hash(turned) == content_hash(TREE)
    assert len(content_hash(TREE)) == 40
    assert set(content_hash(TREE)) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"a": SourceFile(b"1")},
        {"a": SourceFile(b"1"), "b": SourceFile(b"2")},
        {"a": SourceFile(b"1"), "b": SourceFile(b"3", executable=True)},
        {"a": SourceFile(b"1"), "c": SourceFile(b"2", executable=True)},
        {"a": SourceFile(b"2"), "b": SourceFile(b"1", executable=True)},
    ],
)
def test_any_difference_gives_another_revision(other):
    assert content_hash(WorkspaceTree(other)) != content_hash(TREE)
