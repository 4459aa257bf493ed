"""Working copies: fetched once, private to a step, never trusted when they changed."""

import hashlib
import io
import os
import tarfile
import threading

import pytest

from chalicelib.domain.errors import InvalidError, UnavailableError
from chalicelib.runner.working_copy import Tree, WorkingCopies

FILES = {"main.sh": "echo hi", "lib/deep/data.txt": "data"}


def extract(tarball, target):
    opened = io.BytesIO(tarball) if isinstance(tarball, bytes) else tarball.open("rb")
    with opened, tarfile.open(fileobj=opened) as tar:
        for member in filter(tarfile.TarInfo.isfile, tar):
            (target / member.name).parent.mkdir(parents=True, exist_ok=True)
            (target / member.name).write_bytes(tar.extractfile(member).read())
            (target / member.name).chmod(member.mode)


def a_tarball(files=FILES):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(text), 0o755, 1
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Source:
    """A workspace in the object store, counting how often it is asked."""

    def __init__(self, files=FILES):
        self.tarball = a_tarball(files)
        self.fetched = 0

    def fetch(self):
        self.fetched += 1
        return self.tarball

    def tree(self, revision="r1", workspace="shop", sha256=None):
        digest = sha256 or hashlib.sha256(self.tarball).hexdigest()
        return Tree(workspace=workspace, revision=revision, sha256=digest, fetch=self.fetch)


@pytest.fixture
def copies(tmp_path):
    return WorkingCopies(tmp_path / "cache", extract)


def content(folder):
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_copy_has_the_revisions_files_with_their_modes(copies):
    with copies.private_copy(Source().tree()) as copy:
        assert content(copy) == FILES
        assert os.access(copy / "main.sh", os.X_OK)


def test_a_copy_is_gone_at_the_end_also_after_a_failure(copies):
    def fail():
        with copies.private_copy(Source().tree()) as copy:
            (copy / "new").mkdir(mode=0o500)
            raise OSError(copy)

    with pytest.raises(OSError, match="work") as raised:
        fail()
    assert not os.path.lexists(raised.value.args[0].parent)


def test_a_revision_is_fetched_once(copies):
    source = Source()
    for _ in range(3):
        with copies.private_copy(source.tree()) as copy:
            assert content(copy) == FILES
    assert source.fetched == 1


def test_steps_that_start_together_fetch_once(copies):
    source, barrier, seen = Source(), threading.Barrier(8), []

    def work():
        barrier.wait()
        with copies.private_copy(source.tree()) as copy:
            seen.append(content(copy))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (source.fetched, seen) == (1, [FILES] * 8)


def test_what_a_step_does_to_its_copy_no_other_sees(copies):
    source = Source()
    with copies.private_copy(source.tree()) as one, copies.private_copy(source.tree()) as two:
        (one / "main.sh").write_text("changed")
        (one / "lib/deep/data.txt").unlink()
        assert content(two) == FILES
    with copies.private_copy(source.tree()) as three:
        assert content(three) == FILES
    assert source.fetched == 1


def test_a_copy_is_closed_to_other_users(copies):
    with copies.private_copy(Source().tree()) as copy:
        assert copy.stat().st_mode & 0o077 == 0


def test_a_tarball_may_come_as_a_file(copies, tmp_path):
    source = Source()
    path = tmp_path / "t.tar.gz"
    path.write_bytes(source.tarball)
    digest = hashlib.sha256(source.tarball).hexdigest()
    tree = Tree(workspace="shop", revision="r", sha256=digest, fetch=lambda: path)
    with copies.private_copy(tree) as copy:
        assert content(copy) == FILES


def test_a_tarball_with_another_digest_is_refused_and_asked_for_again(copies):
    source = Source()
    for _ in range(2):
        with (
            pytest.raises(UnavailableError, match="revision r1 arrived damaged"),
            copies.private_copy(source.tree(sha256="0" * 64)),
        ):
            pass
    assert source.fetched == 2
    with copies.private_copy(source.tree()) as copy:
        assert content(copy) == FILES


def rewrite(base):
    (base / "main.sh").write_text("rm -rf")


def remove(base):
    (base / "lib/deep/data.txt").unlink()


def add(base):
    (base / "extra").touch()


def change_mode(base):
    (base / "main.sh").chmod(0o644)


def lose_seal(base):
    (base.parent / ".r1.seal").unlink()


@pytest.mark.parametrize("damage", [rewrite, remove, add, change_mode, lose_seal])
def test_a_damaged_cache_is_fetched_again(copies, tmp_path, damage):
    source = Source()
    with copies.private_copy(source.tree()):
        pass
    damage(tmp_path / "cache/workspaces/shop/r1")
    with copies.private_copy(source.tree()) as copy:
        assert content(copy) == FILES
    assert source.fetched == 2


def test_a_failed_extraction_leaves_nothing(tmp_path):
    def fail(_, target):
        (target / "half").touch()
        raise InvalidError("bad member")

    broken = WorkingCopies(tmp_path, fail)
    with pytest.raises(InvalidError), broken.private_copy(Source().tree()):
        pass
    assert {p.name for p in (tmp_path / "workspaces/shop").iterdir()} == {".lock"}


def test_an_empty_workspace_has_an_empty_copy(copies):
    with copies.private_copy(Source({}).tree()) as copy:
        assert content(copy) == {}


def test_the_revisions_used_last_are_kept(tmp_path):
    copies, source = WorkingCopies(tmp_path, extract, kept=2), Source()
    shelf = tmp_path / "workspaces/shop"
    for number, revision in enumerate(["r1", "r2"]):
        with copies.private_copy(source.tree(revision)):
            os.utime(shelf / f".{revision}.seal", (number, number))
    for revision in ("r1", "r3"):
        with copies.private_copy(source.tree(revision)):
            pass
    assert {p.name for p in shelf.iterdir() if p.is_dir()} == {"r1", "r3"}
    assert source.fetched == 3


def test_workspaces_do_not_push_each_other_out(tmp_path):
    copies, source = WorkingCopies(tmp_path, extract, kept=1), Source()
    for workspace in ("shop", "bank", "shop"):
        with copies.private_copy(source.tree(workspace=workspace)):
            pass
    assert source.fetched == 2


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden"])
def test_a_name_that_is_no_folders_is_refused(copies, name):
    with pytest.raises(InvalidError), copies.private_copy(Source().tree(revision=name)):
        pass


def test_a_name_with_slashes_stays_within_the_cache(copies, tmp_path):
    with copies.private_copy(Source().tree(revision="a/../../b")):
        pass
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {"workspaces"}


def test_a_second_worker_shares_the_cache(copies, tmp_path):
    source = Source()
    with copies.private_copy(source.tree()):
        pass
    with WorkingCopies(tmp_path / "cache", extract).private_copy(source.tree()) as copy:
        assert content(copy) == FILES
    assert source.fetched == 1
