"""Working copies: a revision's files, unpacked once on this machine, copied for each step.

The one rule: nobody works in the cache. A step gets a copy of its own; and a cached tree counts
only while its files are as they were when they were unpacked.
Source: CLI, UI and operations, section 8.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from chalicelib.domain.errors import InvalidError, UnavailableError
from chalicelib.runner.environment import remove_tree

Extract = Callable[[Path | bytes, Path], None]
Fetch = Callable[[], Path | bytes]

_READ_BYTES = 1024 * 1024
_KEPT_REVISIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A revision's files: its tarball as `fetch` brings it, and the digest that this must have.

    `sha256` None: `fetch` itself answers for what it brings.
    """

    workspace: str
    revision: str
    sha256: str | None
    fetch: Fetch


class WorkingCopies:
    """The cache of one machine. Several threads and several workers may share its folder."""

    def __init__(self, cache_dir: Path, extract: Extract, *, kept: int = _KEPT_REVISIONS) -> None:
        self._root = cache_dir / "workspaces"
        self._extract = extract
        self._kept = kept
        self._fetching: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    @contextmanager
    def private_copy(self, tree: Tree, temp_dir: Path | None = None) -> Iterator[Path]:
        """Yield a folder with the revision's files that is removed at the end.

        Raises:
            UnavailableError: the tarball has another digest. InvalidError: a name is no folder's.
            Whatever `fetch` and `extract` raise.
        """
        home = Path(tempfile.mkdtemp(prefix="stroem-copy-", dir=temp_dir))
        try:
            # Others may pass through to the copy, whose owner may not be the worker, but not look.
            home.chmod(0o711)
            copy = home / "work"
            self._copy(tree, copy)
            yield copy
        finally:
            remove_tree(home)

    def _copy(self, tree: Tree, copy: Path) -> None:
        shelf = self._root / _folder_name(tree.workspace)
        base = shelf / _folder_name(tree.revision)
        shelf.mkdir(parents=True, exist_ok=True)
        while True:
            self._unpack_if_needed(tree, shelf, base)
            with _locked(shelf, fcntl.LOCK_SH):
                # Before this lock, another worker's newer revisions may have pushed it out.
                if base.is_dir():
                    shutil.copytree(base, copy, symlinks=True, copy_function=_copy_file)
                    copy.chmod(0o700)
                    return

    def _unpack_if_needed(self, tree: Tree, shelf: Path, base: Path) -> None:
        with self._guard:
            fetching = self._fetching[base]
        with fetching:
            with _locked(shelf, fcntl.LOCK_SH):
                is_sound = _is_sound(base)
            if is_sound:
                os.utime(_seal(base))
            else:
                self._unpack(tree, shelf, base)

    def _unpack(self, tree: Tree, shelf: Path, base: Path) -> None:
        tarball = tree.fetch()
        if tree.sha256 is not None:
            _check_digest(tarball, tree)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=shelf))
        try:
            self._extract(tarball, fresh)
            fresh.chmod(0o755)
            with _locked(shelf, fcntl.LOCK_EX):
                remove_tree(base)
                fresh.rename(base)
                _seal(base).write_text(_fingerprint(base))
                self._evict(shelf, base)
        finally:
            remove_tree(fresh)

    def _evict(self, shelf: Path, newest: Path) -> None:
        seals = [seal for seal in shelf.glob(".*.seal") if seal != _seal(newest)]
        seals.sort(key=lambda seal: seal.stat().st_mtime_ns, reverse=True)
        for seal in seals[self._kept - 1 :]:
            remove_tree(shelf / seal.name[1 : -len(".seal")])
            seal.unlink(missing_ok=True)


def _folder_name(name: str) -> str:
    quoted = quote(name, safe="")
    if not quoted or quoted.startswith("."):
        raise InvalidError(f"{name!r} cannot name a workspace or a revision.")
    return quoted


def _seal(base: Path) -> Path:
    return base.with_name(f".{base.name}.seal")


def _is_sound(base: Path) -> bool:
    try:
        return _seal(base).read_text() == _fingerprint(base)
    except OSError:
        return False


def _fingerprint(base: Path) -> str:
    """Return a digest of names, modes, sizes and times: shows a change without reading files."""
    found: list[tuple[str | int, ...]] = []
    for folder, _, files in os.walk(base):
        found.append((folder,))
        for name in files:
            status = os.lstat(f"{folder}/{name}")
            found.append((folder, name, status.st_mode, status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()


def _check_digest(tarball: Path | bytes, tree: Tree) -> None:
    digest = hashlib.sha256()
    if isinstance(tarball, bytes):
        digest.update(tarball)
    else:
        with tarball.open("rb") as opened:
            while block := opened.read(_READ_BYTES):
                digest.update(block)
    if digest.hexdigest() != tree.sha256:
        raise UnavailableError(
            f"The files of workspace {tree.workspace} at revision {tree.revision} arrived "
            f"damaged: their digest is {digest.hexdigest()}, not {tree.sha256}. Publish the "
            "workspace again if trying again does not help."
        )


def _copy_file(source: str, target: str) -> None:
    with Path(source).open("rb") as old, Path(target).open("wb") as new:
        left = os.fstat(old.fileno()).st_size
        try:
            # Where the file system can share blocks between files, this copies nothing.
            while left > 0 and (done := os.copy_file_range(old.fileno(), new.fileno(), left)):
                left -= done
        except OSError:
            old.seek(0)
            new.seek(0)
            new.truncate()
            shutil.copyfileobj(old, new, _READ_BYTES)
    shutil.copystat(source, target)


@contextmanager
def _locked(shelf: Path, how: int) -> Iterator[None]:
    with (shelf / ".lock").open("w") as lock:
        fcntl.flock(lock.fileno(), how)
        yield
