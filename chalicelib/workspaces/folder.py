"""Reads a folder into a WorkspaceTree.

Follows no link, leaves `.git` out, and stops at the limits.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.workspaces.limits import MAX_BYTES, REPOSITORY_DIRECTORY, Budget, check_path

_MAX_DEPTH = 50


def read_folder(folder: Path) -> WorkspaceTree:
    """Return the folder's regular files. Links, sockets and devices are left out.

    Raises:
        NotFoundError: there is no such folder.
        TooLargeError: more than 10,000 files or 200 MB.
        InvalidError: a file whose path cannot be kept, or that cannot be read.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}")
    budget = Budget()
    files: dict[str, SourceFile] = {}
    for entry, path in _walk(folder, "", 0):
        check_path(path)
        if path in files:
            raise InvalidError(f"two files are called {path!r} (one not in normal form NFC)")
        files[path] = _read(entry, path, budget)
    return WorkspaceTree(files)


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[Path, str]]:
    if depth > _MAX_DEPTH:
        raise InvalidError(f"the folder {prefix!r} is more than {_MAX_DEPTH} levels deep")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InvalidError(f"cannot read the folder {folder}: {error.strerror}") from error
    for entry in entries:
        if entry.name == REPOSITORY_DIRECTORY:
            continue
        path = f"{prefix}{normalize('NFC', entry.name)}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{path}/", depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path), path


def _read(file: Path, path: str, budget: Budget) -> SourceFile:
    # O_NOFOLLOW: what was a file when it was listed may be a link by now.
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise InvalidError(f"{path} is no longer a regular file")
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}") from error
    budget.file(len(content))
    return SourceFile(content, executable=bool(mode & stat.S_IXUSR))
